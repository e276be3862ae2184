"""Asks the cluster what may explain a verdict that does not hold: after the verdict, and without any part in it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from urllib.parse import urlsplit

from pytest_istio_egress.asking import Asking
from pytest_istio_egress.cluster import survey
from pytest_istio_egress.cluster.analysis import faults
from pytest_istio_egress.cluster.analysis.configuration import Asked
from pytest_istio_egress.cluster.names import OF_ONE_WORKER
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.surroundings import Surroundings
from pytest_istio_egress.evidence import Verdict
from pytest_istio_egress.staging import Staging

_CLOCKS = 10.0
"""Seconds that the way to a node's log may take, and that clocks may differ."""
_NO_CONNECTION = frozenset({6, 7})
"""Curl's exits where no connection was made that any Envoy could have logged: no address, refused."""


class Inquiry:
    """Looks around in one worker's part of the cluster."""

    def __init__(self, staging: Staging, asking: Asking) -> None:
        self.api = staging.api
        self.world = staging.world
        self.witnesses = staging.witnesses
        self.staging = staging
        self.asking = asking
        self._first_seen: dict[str, float] = {}

    def into(self, verdict: Verdict) -> Verdict:
        """Return the verdict with its surroundings; what can't be found out is left out of them."""
        found = Surroundings()
        pod = self.world.pod(verdict.probe.client)
        steps: list[Callable[[Surroundings], Surroundings]] = [
            lambda known: self._pod(known, pod),
            lambda known: self._log(known, verdict, pod),
            lambda known: self._configuration(known, verdict, pod),
            lambda known: self._proxies(known, verdict, pod),
        ]
        for step in steps:
            try:
                found = step(found)
            except Exception as error:  # noqa: BLE001  # an explanation that fails must never become a verdict, or hide one
                found = replace(found, incomplete=" ".join(str(error).split()) or type(error).__name__)
        return replace(verdict, surroundings=found)

    def _pod(self, known: Surroundings, pod: Pod) -> Surroundings:
        if not pod.injected:
            return replace(known, injected=False)
        return replace(
            known, proxy_trouble=survey.proxy_trouble(self.api, pod), excluded=survey.excluded(self.api, pod)
        )

    def _log(self, known: Surroundings, verdict: Verdict, pod: Pod) -> Surroundings:
        """Where a line is missing: did the request pass that Envoy, and can its log be read at all?"""
        seen, expected = verdict.exchange, verdict.expected
        if not known.injected or known.proxy_trouble or seen.curl.exit in _NO_CONNECTION:
            return known
        if expected.sidecar and seen.sidecar is None:
            trouble = survey.log_trouble(self.api, self.witnesses.follow(pod))
            captured = bool(seen.envoy_headers) or survey.counts(self.api, pod, lambda: self.asking.send(verdict.probe))
            if not trouble and captured:
                trouble = survey.line_missing(self.witnesses.follow(pod))
            return replace(known, captured=captured, log_trouble=trouble)
        if expected.gateway is not None and seen.gateway is None and seen.went_to_gateway:
            pods = self.asking.gateway_pods(expected.gateway.at)
            troubles = [survey.log_trouble(self.api, self.witnesses.follow(each)) for each in pods]
            return replace(known, log_trouble=next(filter(None, troubles), ""))
        return known

    def _configuration(self, known: Surroundings, verdict: Verdict, pod: Pod) -> Surroundings:
        names = self.world.names
        literal = verdict.probe.literal
        parts = urlsplit(verdict.probe.url if literal else names.text(verdict.probe.url))
        asked = Asked(
            namespace=pod.namespace,
            labels=survey.labels(self.api, pod),
            host=parts.hostname or "",
            port=parts.port or {"http": 80, "https": 443}[parts.scheme],
        )
        own = [names.namespace(name) for name in OF_ONE_WORKER]
        # A workload of the user's own is ruled by what the user has, wherever it lies.
        found = survey.configuration(self.api, None if literal else own, [pod.namespace] if literal else own)
        return replace(known, faults=tuple(faults(found, asked)))

    def _proxies(self, known: Surroundings, verdict: Verdict, pod: Pod) -> Surroundings:
        if not known.injected or known.proxy_trouble:
            return known
        seen, gateway = verdict.exchange, verdict.expected.gateway
        pods = {"sidecar": pod}
        if gateway is not None:
            behind = self.asking.gateway_pods(gateway.at)
            if behind:
                pods["gateway"] = behind[0]
        known = replace(known, rejected=self._rejected(pods))
        line, whose = (seen.gateway, "gateway") if seen.gateway else (seen.sidecar, "sidecar")
        if line is None:
            return known
        return replace(known, cluster_type=survey.cluster_type(self.api, pods[whose], line.cluster))

    def _rejected(self, pods: Mapping[str, Pod]) -> tuple[str, ...]:
        """Return what was refused since the case began; the log's time is the node's, so it is asked for some more."""
        since = self.staging.entered
        found = survey.rejections(self.api, pods, time.monotonic() - since + _CLOCKS)
        for each in found:
            self._first_seen.setdefault(each, since)
        return tuple(each for each in found if self._first_seen[each] == since)
