"""Reads the state of the cluster around a failed probe, and diagnoses its cause; neither ever changes the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from pytest_istio_egress.cluster.api import reason
from pytest_istio_egress.cluster.inspection import configuration, proxies
from pytest_istio_egress.cluster.log_config import COMPARED
from pytest_istio_egress.cluster.names import OF_ONE_WORKER
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.rejections import rejections
from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.involved_proxies import CLIENT_SIDECAR, GATEWAY, proxies_of_probe
from pytest_istio_egress.pipeline.prober import Prober
from pytest_istio_egress.verdict.analysis import faults
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest
from pytest_istio_egress.verdict.diagnosis import cause
from pytest_istio_egress.verdict.verdict import Verdict

_CLOCKS = 10.0
"""Seconds that reading a node's log may take, and by which clocks may differ."""
_NO_CONNECTION = frozenset({6, 7})
"""curl's exit codes where no connection came about that any Envoy could have logged: no address, refused."""
_SHOWN = {CLIENT_SIDECAR: "sidecar"}

Step = Callable[[FailureContext, Verdict, Pod], FailureContext]
"""Adds to the failure context of a verdict; the pod is the client's."""


class FailureInspector:
    """Inspects one worker's part of the cluster."""

    def __init__(self, context: WorkerContext, case_setup: CaseSetup, prober: Prober) -> None:
        self.context = context
        self._case_setup = case_setup
        self._prober = prober
        self._first_seen: dict[str, float] = {}
        """By rejection: when the test began in which it was seen first."""

    def explained(self, verdict: Verdict) -> Verdict:
        """Return the verdict with its failure context and its cause; what cannot be read is left out of them."""
        pod = self.context.environment.pod(verdict.probe.client)
        known = FailureContext()
        steps: tuple[Step, ...] = (self._pod, self._log, self._configuration, self._proxies)
        for step in steps:
            try:
                known = step(known, verdict, pod)
            except Exception as error:  # noqa: BLE001  # a failed diagnosis must never become a verdict, or hide one
                known = replace(known, incomplete=reason(error))
        explained = replace(verdict, failure_context=known)
        return replace(explained, cause=cause(explained))

    def _pod(self, known: FailureContext, _: Verdict, pod: Pod) -> FailureContext:
        if not pod.injected:
            return replace(known, injected=False)
        api = self.context.api
        return replace(known, proxy_trouble=proxies.proxy_trouble(api, pod), excluded=proxies.excluded(api, pod))

    def _log(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        """Where a line is missing, find out whether the request passed that proxy, and whether its log is readable."""
        exchange, expected, logs = verdict.exchange, verdict.expected, self.context.access_logs
        if not known.injected or known.proxy_trouble or exchange.curl.exit in _NO_CONNECTION:
            return known
        if expected.sidecar and exchange.sidecar is None:
            trouble = proxies.log_trouble(self.context.api, logs.follow(pod))
            captured = bool(exchange.envoy_headers) or proxies.counts(
                self.context.api, pod, lambda: self._prober.send(verdict.probe)
            )
            if not trouble and captured:
                trouble = proxies.line_missing(logs.follow(pod))
            return replace(known, captured=captured, log_trouble=trouble)
        if expected.gateway is not None and exchange.gateway is None and exchange.went_to_gateway:
            pods = self._prober.gateway_pods(expected.gateway.at)
            troubles = [proxies.log_trouble(self.context.api, logs.follow(each), COMPARED) for each in pods]
            return replace(known, log_trouble=next(filter(None, troubles), ""))
        return known

    def _configuration(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        probe, names, api = verdict.probe, self.context.names, self.context.api
        request = ClientRequest(
            namespace=pod.namespace,
            labels=proxies.labels(api, pod),
            host=probe.host if probe.from_own_workload else names.render(probe.host),
            port=probe.port,
        )
        own = [names.namespace(name) for name in OF_ONE_WORKER]
        # A user's own workload is subject to the user's own resources, in whatever namespace they are.
        namespaces, clients = (None, [pod.namespace]) if probe.from_own_workload else (own, own)
        return replace(
            known,
            faults=tuple(
                faults(configuration.configuration(api, namespaces, clients, names.mesh.cluster_domain), request)
            ),
        )

    def _proxies(self, known: FailureContext, verdict: Verdict, _: Pod) -> FailureContext:
        if not known.injected or known.proxy_trouble:
            return known
        pods = {_SHOWN.get(name, name): pod for name, pod in proxies_of_probe(self.context, verdict).items()}
        known = replace(known, rejected=self._rejected(pods))
        exchange = verdict.exchange
        line, name = (exchange.gateway, GATEWAY) if exchange.gateway else (exchange.sidecar, "sidecar")
        if line is None or line.cluster is None or name not in pods:
            return known
        return replace(known, cluster_type=proxies.cluster_type(self.context.api, pods[name], line.cluster))

    def _rejected(self, pods: dict[str, Pod]) -> tuple[str, ...]:
        """Return the rejections since the test began; the log's time is the node's, so some more of it is read."""
        since = self._case_setup.entered
        seen = rejections(self.context.api, pods, time.monotonic() - since + _CLOCKS)
        for rejection in seen:
            self._first_seen.setdefault(rejection, since)
        return tuple(rejection for rejection in seen if self._first_seen[rejection] == since)
