"""Finds the line of a request in the access logs of a worker's clients and of the gateways."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.log_config import LineParser
from pytest_istio_egress.cluster.logs import Line, ProxyLog
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import GATEWAY
from pytest_istio_egress.cluster.names import OF_ONE_WORKER, Names
from pytest_istio_egress.cluster.pods import Pod, ready_pods
from pytest_istio_egress.cluster.ztunnel import Ztunnels
from pytest_istio_egress.model.access_log import AccessLogLine, parse_line, parse_own_line
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine

L = TypeVar("L", bound=Line)


class AccessLogs:
    """The access logs that one worker follows, each from when it is first needed."""

    def __init__(self, api: Api, mesh: Mesh, names: Names) -> None:
        self.api = api
        self.mesh = mesh
        self.names = names
        self.parse_own: LineParser = parse_own_line
        """Reads the log of the run's own proxies (additions.py)."""
        self._lock = threading.Lock()
        self._arrived = threading.Condition()
        self._logs: dict[str, ProxyLog[AccessLogLine]] = {}
        self._ztunnels = Ztunnels(api, self._arrived)
        self._gateways: list[Pod] | None = None

    def follow(self, pod: Pod) -> ProxyLog[AccessLogLine]:
        """Follow the log of a proxy, and return it; a log that is followed already is returned as it is."""
        with self._lock:
            if pod.uid not in self._logs:
                self._logs[pod.uid] = ProxyLog(self.api, pod, self._arrived, self._parser(pod))
            return self._logs[pod.uid]

    def _parser(self, pod: Pod) -> LineParser:
        """Return what reads the log of a proxy.

        The sidecars and the gateway in this worker's namespaces may have a log of the run's own. A waypoint has the
        mesh's log wherever it is: an EnvoyFilter without targetRefs does not apply to it.
        """
        own = pod.namespace in {self.names.namespace(name) for name in OF_ONE_WORKER}
        return self.parse_own if own and not pod.waypoint else parse_line

    def sidecar_line(
        self, pod: Pod, source: str, user_agent: str, *, since: float, timeout: float
    ) -> AccessLogLine | None:
        """Find the line of a client's request by the source address of its connection.

        A port can be reused: the line must be newer than `since` (time.monotonic()), and its user agent, if any, must
        be this request's.
        """
        return self._await([pod], lambda log: log.of_connection(source, ("-", user_agent), since), since, timeout)

    def follow_ztunnel(self, pod: Pod) -> None:
        """Follow the log of the ztunnel of a pod's node."""
        self._ztunnels.log_for(pod)

    def ztunnel_line(self, pod: Pod, source: str, *, since: float, timeout: float) -> ZtunnelLine | None:
        """Find the line of a client's connection in the log of its node's ztunnel, by its source address and port."""
        return self._first_line([self._ztunnels.log_for(pod)], lambda log: log.of_peer(source, since), since, timeout)

    def waypoint_line(
        self, pods: Sequence[Pod], user_agent: str, *, since: float, timeout: float
    ) -> AccessLogLine | None:
        """Find the line of a request in the log of a waypoint with these pods, by its unique user agent."""
        return self._await(pods, lambda log: log.of_request(user_agent), since, timeout)

    def waypoint_connection(
        self, pods: Sequence[Pod], tunnel: ZtunnelLine, *, since: float, timeout: float
    ) -> AccessLogLine | None:
        """Find the line of a connection that is no HTTP in the log of a waypoint with these pods.

        It has no user agent, and the port of the tunnel, not of the client. So it is found by the destination that
        ztunnel requested of the waypoint, which is a host's own address and port:

            ztunnel dst.hbone_addr 240.240.0.9:443  ->  waypoint DOWNSTREAM_LOCAL_ADDRESS 240.240.0.9:443
        """
        return self._await(pods, lambda log: log.of_destination(tunnel.target, since), since, timeout)

    def gateway_line(
        self, hop: AccessLogLine, pods: Sequence[Pod], *, since: float, timeout: float
    ) -> AccessLogLine | None:
        """Find the line of a sidecar's request in the log of a gateway with these pods.

        HTTP is found by its unique user agent (requests share a pooled connection, and the gateway may assign new
        request ids), TCP by the sidecar's port:

            sidecar UPSTREAM_LOCAL_ADDRESS 10.244.0.9:41234  ->  gateway DOWNSTREAM_REMOTE_ADDRESS 10.244.0.9:41234
        """
        if not pods:
            raise ClusterError("no ready egress gateway pod: there is no access log to read")
        agent, peer = hop.user_agent, hop.upstream_local
        if agent not in ("-", None):
            return self._await(pods, lambda log: log.of_request(str(agent)), since, timeout)
        return self._await(pods, lambda log: log.of_peer(str(peer), since), since, timeout)

    def proxy_line(self, hop: AccessLogLine, proxy: Pod, *, since: float, timeout: float) -> AccessLogLine | None:
        """Find the line of an Envoy's connection in the log of a forward proxy, by that Envoy's port."""
        peer = str(hop.upstream_local)
        return self._await([proxy], lambda log: log.of_peer(peer, since), since, timeout)

    def _await(
        self,
        pods: Sequence[Pod],
        lookup: Callable[[ProxyLog[AccessLogLine]], AccessLogLine | None],
        since: float,
        timeout: float,
    ) -> AccessLogLine | None:
        """Wait up to `timeout` seconds for a line in the log of any of these pods; None where none comes."""
        return self._first_line([self.follow(pod) for pod in pods], lookup, since, timeout)

    def _first_line(
        self, logs: Sequence[ProxyLog[L]], lookup: Callable[[ProxyLog[L]], L | None], since: float, timeout: float
    ) -> L | None:
        """Return the first line that is found, None where there is none since the request began (`since`).

        A log may be followed only now, and the request may be older than what its stream starts with: all probes of a
        test are sent before the first line is looked up.
        """
        began = time.monotonic()
        with self._arrived:
            while True:
                line = _first(logs, lookup)
                remaining = began + timeout - time.monotonic()
                if line or remaining <= 0:
                    break
                self._arrived.wait(remaining)
        if line:
            return line
        for log in logs:
            log.read_back(time.monotonic() - min(began, since))
        return _first(logs, lookup)

    def gateways(self) -> list[Pod]:
        """Return the ready pods of the egress gateway."""
        with self._lock:
            if self._gateways is None:
                namespace, selector = self.names.namespace_of(GATEWAY), self.names.selector(GATEWAY)
                pods = ready_pods(self.api, namespace, selector) if self.mesh.facts.gateway else []
                # The run's own gateway is deployed when a test first needs it; one without pods is looked up again.
                self._gateways = pods or None
            return self._gateways or []

    def pods_in_use(self) -> list[Pod]:
        """Return the pods of the egress gateway that verdicts depend on so far."""
        return list(self._gateways or ())

    def new_gateways(self) -> list[Pod]:
        """Return the ready pods of the egress gateway that came since its pods were looked up."""
        known = {pod.uid for pod in self._gateways or ()}
        if not known:
            return []
        pods = ready_pods(self.api, self.names.namespace_of(GATEWAY), self.names.selector(GATEWAY))
        return [pod for pod in pods if pod.uid not in known]

    def gateway_addresses(self) -> frozenset[str]:
        """Return the addresses of the egress gateway's pods."""
        return frozenset().union(*(pod.addresses for pod in self.gateways()))

    def forget(self) -> None:
        """Stop to follow all logs; pods are looked up again when they are next needed."""
        with self._lock:
            for log in self._logs.values():
                log.close()
            self._logs.clear()
            self._ztunnels.forget()
            self._gateways = None


def _first(logs: Sequence[ProxyLog[L]], lookup: Callable[[ProxyLog[L]], L | None]) -> L | None:
    return next((line for line in map(lookup, logs) if line), None)
