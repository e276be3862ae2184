"""The proxies' logs of one worker's clients and of the egress gateway, and how a request is found in them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import GATEWAY
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import Pod, ready_pods
from pytest_istio_egress.model.access_log import AccessLogLine

ObjectReader = Callable[[ProxyLog], AccessLogLine | None]
"""How a request's line is looked up in a proxy's log."""


class AccessLogs:
    """Follows logs from the moment they are first needed."""

    def __init__(self, api: Api, mesh: Mesh, names: Names) -> None:
        self.api = api
        self.mesh = mesh
        self.names = names
        self._lock = threading.Lock()
        self._arrived = threading.Condition()
        self._logs: dict[str, ProxyLog] = {}
        self._gateways: list[Pod] | None = None

    def follow(self, pod: Pod) -> ProxyLog:
        """Start to follow a proxy's log; it may be called again for the same pod."""
        with self._lock:
            if pod.uid not in self._logs:
                self._logs[pod.uid] = ProxyLog(self.api, pod, self._arrived)
            return self._logs[pod.uid]

    def sidecar_line(
        self, pod: Pod, source: str, user_agent: str, *, since: float, timeout: float
    ) -> AccessLogLine | None:
        """Find a request of a client: its connection's source address stands in the line, TCP or HTTP alike.

        A port can be used again: the line must be newer than `since` (time.monotonic()), and where it has a user
        agent (HTTP), it must be this request's.
        """
        return self._await([pod], lambda log: log.of_connection(source, ("-", user_agent), since), timeout)

    def gateway_line(
        self, hop: AccessLogLine, pods: Sequence[Pod], *, since: float, timeout: float
    ) -> AccessLogLine | None:
        """Find a sidecar's request in the log of the gateway that these pods are.

        By its unique user agent where it is HTTP (requests share a pooled connection, and a gateway gives them
        request ids of its own); else by the sidecar's own port:

            sidecar UPSTREAM_LOCAL_ADDRESS 10.244.0.9:41234  ->  gateway DOWNSTREAM_REMOTE_ADDRESS 10.244.0.9:41234
        """
        if not pods:
            raise ClusterError("the mesh has no ready egress gateway whose log could be read")
        if hop.user_agent != "-":
            return self._await(pods, lambda log: log.of_request(hop.user_agent), timeout)
        return self._await(pods, lambda log: log.of_peer(hop.upstream_local, since), timeout)

    def proxy_line(self, hop: AccessLogLine, proxy: Pod, *, since: float, timeout: float) -> AccessLogLine | None:
        """Find in a forward proxy's log the connection that an Envoy of the mesh made to it, by that Envoy's port."""
        return self._await([proxy], lambda log: log.of_peer(hop.upstream_local, since), timeout)

    def _await(self, pods: Sequence[Pod], look: ObjectReader, timeout: float) -> AccessLogLine | None:
        """Wait up to `timeout` seconds for a line in the log of any of these pods; None if it never came."""
        logs = [self.follow(pod) for pod in pods]
        began = time.monotonic()
        with self._arrived:
            while True:
                found = _first(logs, look)
                left = began + timeout - time.monotonic()
                if found or left <= 0:
                    break
                self._arrived.wait(left)
        if found:
            return found
        for log in logs:
            log.read_back(time.monotonic() - began)
        return _first(logs, look)

    def gateways(self) -> list[Pod]:
        """Return the egress gateway's ready pods; their logs are followed from now on."""
        with self._lock:
            if self._gateways is None:
                where, selector = self.names.namespace_of(GATEWAY), self.names.selector(GATEWAY)
                found = ready_pods(self.api, where, selector) if self.mesh.gateway else []
                # The run's own is made when the first case needs it; one that is being replaced is looked for again.
                self._gateways = found or None
            return self._gateways or []

    def pods_in_use(self) -> list[Pod]:
        """Return the gateway's pods that verdicts rest on so far."""
        return list(self._gateways or ())

    def gateway_addresses(self) -> frozenset[str]:
        """Return the addresses of the egress gateway's pods."""
        return frozenset(pod.address for pod in self.gateways())

    def forget(self) -> None:
        """Stop following; pods are looked up anew at the next question."""
        with self._lock:
            for log in self._logs.values():
                log.close()
            self._logs.clear()
            self._gateways = None


def _first(logs: Sequence[ProxyLog], look: ObjectReader) -> AccessLogLine | None:
    return next((line for line in map(look, logs) if line), None)
