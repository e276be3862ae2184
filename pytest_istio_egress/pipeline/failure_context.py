"""Reads the state of the cluster around a failed probe, and diagnoses its cause; neither ever changes the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from pytest_istio_egress.cluster.api import reason
from pytest_istio_egress.cluster.inspection import proxies
from pytest_istio_egress.cluster.inspection.configuration import ConfigurationReader
from pytest_istio_egress.cluster.inspection.proxy_dump import proxy_dump
from pytest_istio_egress.cluster.log_config import COMPARED
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.rejections import error_states, recent_log, rejections
from pytest_istio_egress.model.addresses import without_port
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.prober import Prober
from pytest_istio_egress.pipeline.recent_reads import RecentReads
from pytest_istio_egress.pipeline.request_at_proxy import at_gateway, at_sidecar, at_waypoint
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Workload
from pytest_istio_egress.verdict.diagnosis import cause
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.failure_context import GATEWAY, SIDECAR, WAYPOINT, FailureContext
from pytest_istio_egress.verdict.proxy_path import path_of, waypoint_path_of
from pytest_istio_egress.verdict.proxy_path.dump import ProxyDump
from pytest_istio_egress.verdict.verdict import Verdict

_CLOCKS = 10.0
"""Seconds that reading a node's log may take, and by which clocks may differ."""
_NO_CONNECTION = frozenset({5, 6, 7})
"""curl's exit codes where no connection came about that any Envoy could have logged: no address, refused."""

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
        self._recent = RecentReads()

    def explained(self, verdict: Verdict) -> Verdict:
        """Return the verdict with its failure context and its cause; what cannot be read is left out of them."""
        self._recent.begin((self._case_setup.entered, self._case_setup.syncs))
        pod = self.context.environment.pod(verdict.probe.client)
        known = FailureContext()
        steps: tuple[Step, ...] = (
            self._pod, self._log, self._request, self._waypoint, self._configuration, self._proxies, self._paths,
        )  # fmt: skip
        for step in steps:
            try:
                known = step(known, verdict, pod)
            except Exception as error:  # noqa: BLE001  # a failed diagnosis must never become a verdict, or hide one
                known = replace(known, incomplete=reason(error))
        explained = replace(verdict, failure_context=known)
        return replace(explained, cause=self.cause_of(explained))

    def cause_of(self, verdict: Verdict) -> str:
        """Return the cause of a verdict whose failure context was read."""
        expected = verdict.expected if verdict.probe.from_own_workload else self._prober.rendered(verdict.expected)
        return cause(Failure(expected, verdict.exchange, verdict.differences, verdict.failure_context))

    def _pod(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        if not pod.injected:
            redirected = pod.ambient if verdict.expected.ztunnel is not None else None
            return replace(known, injected=False, redirected=redirected)
        api = self.context.api
        trouble = self._recent.get(("proxy trouble", pod), lambda: proxies.proxy_trouble(api, pod))
        annotations = self._recent.get(("annotations", pod), lambda: proxies.redirection(api, pod))
        return replace(known, proxy_trouble=trouble, annotations=annotations)

    def _log(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        """Where a line is missing, find out whether the request passed that proxy, and whether its log is readable."""
        exchange, expected, logs = verdict.exchange, verdict.expected, self.context.access_logs
        if not known.injected or known.proxy_trouble or exchange.curl.exit in _NO_CONNECTION:
            return known
        if expected.sidecar and exchange.sidecar is None:
            trouble = proxies.log_trouble(self.context.api, logs.follow(pod))
            captured = bool(exchange.envoy_headers) or self._counted(verdict, pod)
            if not trouble and captured:
                trouble = proxies.line_missing(logs.follow(pod))
            return replace(known, captured=captured, log_trouble=trouble)
        if expected.gateway is not None and exchange.gateway is None and exchange.went_to_gateway:
            pods = self._prober.gateway_pods(expected.gateway.at)
            troubles = [proxies.log_trouble(self.context.api, logs.follow(each), COMPARED) for each in pods]
            return replace(known, log_trouble=next(filter(None, troubles), ""))
        last = exchange.gateway or exchange.sidecar
        proxy = self._gateway(verdict) if exchange.gateway else pod
        return replace(known, reused=logs.follow(proxy).reuses(last)) if last and proxy else known

    def _counted(self, verdict: Verdict, pod: Pod) -> bool | None:
        """Whether the client's Envoy counts a connection to an endpoint when the request is sent again.

        None where it does not, and an Envoy answered: one that answers itself connects to nothing.
        """
        if proxies.counts(self.context.api, pod, lambda: self._prober.send(verdict.probe)):
            return True
        return None if verdict.exchange.is_from_an_envoy else False

    def _gateway(self, verdict: Verdict) -> Pod | None:
        """Return the gateway's pod that took the request, or was to take it; None where it has nothing to do with it.

        A gateway that the sidecar's line names took part even where none was expected.
        """
        exchange, hop = verdict.exchange, verdict.expected.gateway
        pods = self._prober.gateway_pods(hop.at) if hop is not None else self.context.access_logs.gateways()
        addresses = [each.address for each in pods]
        upstream = without_port((exchange.sidecar.upstream or "") if exchange.sidecar else "")
        if upstream in addresses:
            return pods[addresses.index(upstream)]
        return pods[0] if pods and hop is not None else None

    def _waypoints(self, verdict: Verdict) -> list[Pod]:
        """Return the pods of the waypoint that the request was to pass; empty where it was to pass none."""
        hop = verdict.expected.waypoint
        return self._prober.gateway_pods(hop.at) if hop is not None and hop.at is not None else []

    def _request(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        probe = verdict.probe
        host, port = probe.destination
        request = ClientRequest(
            namespace=pod.namespace,
            labels=self._labels(pod),
            host=host if probe.from_own_workload else self.context.names.render(host),
            port=port,
            by_proxy=probe.proxy is not None,
        )
        gateway = self._gateway(verdict)
        workload = Workload(namespace=gateway.namespace, labels=self._labels(gateway)) if gateway else None
        return replace(known, request=request, gateway=workload)

    def _waypoint(self, known: FailureContext, verdict: Verdict, _: Pod) -> FailureContext:
        pods = self._waypoints(verdict)
        if not pods:
            return known
        workload = Workload(namespace=pods[0].namespace, labels=self._labels(pods[0]))
        addresses = frozenset[str]().union(*(each.addresses for each in pods))
        return replace(known, waypoint=workload, waypoint_addresses=addresses)

    def _labels(self, pod: Pod) -> Mapping[str, str]:
        return self._recent.get(("labels", pod), lambda: proxies.labels(self.context.api, pod))

    def _dump(self, pod: Pod) -> ProxyDump:
        return self._recent.get(("dump", pod), lambda: proxy_dump(self.context.api, pod))

    def _configuration(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        mesh = self.context.access_logs.mesh.facts
        reader = ConfigurationReader(
            self.context.api,
            control_plane=mesh.control_plane,
            config_maps=mesh.config_maps,
            domain=self.context.names.mesh.cluster_domain,
            revision=mesh.value("revision"),
        )
        gateway = self._gateway(verdict)
        proxied = [pod, *([gateway] if gateway else []), *self._waypoints(verdict)]
        namespaces = tuple(sorted({each.namespace for each in proxied}))
        configuration = self._recent.get(("resources", namespaces), lambda: reader.read(namespaces))
        return replace(known, configuration=configuration)

    def _pods(self, known: FailureContext, verdict: Verdict, pod: Pod) -> dict[str, Pod]:
        """Return the pods whose proxies can be asked, by SIDECAR, GATEWAY and WAYPOINT."""
        gateway = self._gateway(verdict)
        own = {SIDECAR: pod} if known.injected and not known.proxy_trouble else {}
        waypoints = self._waypoints(verdict)
        return own | ({GATEWAY: gateway} if gateway else {}) | ({WAYPOINT: waypoints[0]} if waypoints else {})

    def _proxies(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        return replace(known, rejected=self._rejected(self._pods(known, verdict, pod)))

    def _paths(self, known: FailureContext, verdict: Verdict, pod: Pod) -> FailureContext:
        exchange = verdict.exchange
        pods, request = self._pods(known, verdict, pod), known.request
        if request is None:
            return known
        paths = {}
        if SIDECAR in pods:
            paths[SIDECAR] = path_of(self._dump(pods[SIDECAR]), at_sidecar(exchange, request))
        if GATEWAY in pods and (received := at_gateway(exchange, request, paths.get(SIDECAR))):
            paths[GATEWAY] = path_of(self._dump(pods[GATEWAY]), received)
        if WAYPOINT in pods and (tunnelled := at_waypoint(exchange, request)):
            paths[WAYPOINT] = waypoint_path_of(self._dump(pods[WAYPOINT]), tunnelled)
        return replace(known, paths=paths)

    def _rejected(self, pods: dict[str, Pod]) -> tuple[str, ...]:
        """Return the rejections since the test began."""
        since = self._case_setup.entered
        seen = rejections(pods, self._error_states, lambda pod: self._log_since(pod, since))
        for rejection in seen:
            self._first_seen.setdefault(rejection, since)
        return tuple(rejection for rejection in seen if self._first_seen[rejection] == since)

    def _error_states(self, pod: Pod) -> list[str]:
        return self._recent.get(("error states", pod), lambda: error_states(ProxyConfig(self.context.api, pod)))

    def _log_since(self, pod: Pod, since: float) -> str:
        """Return what a proxy logged since then (time.monotonic()).

        A log that is followed only now is read. Its time is the node's, so that some more of it is read.
        """
        log = self.context.access_logs.follow(pod)
        if log.began < since:
            return log.messages(since)
        return recent_log(self.context.api, pod, time.monotonic() - since + _CLOCKS)
