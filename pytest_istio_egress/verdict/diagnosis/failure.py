"""A failure as causes see it: what was expected, what was observed at each hop, and the state of the cluster."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.outcome import Hop, Outcome
from pytest_istio_egress.model.probe import CurlResult
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.failure_context import GATEWAY, SIDECAR, WAYPOINT, FailureContext
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.verdict import Exchange

NOTHING = Configuration(
    unread=frozenset(
        {
            "ServiceEntry", "VirtualService", "DestinationRule", "Gateway", "Sidecar", "EnvoyFilter", "Service",
            "AuthorizationPolicy", "HTTPRoute", "TLSRoute", "BackendTLSPolicy", "Gateway of the Gateway API",
            "mesh configuration", "Namespace",
        }
    )
)  # fmt: skip
"""In place of a configuration that could not be read."""


_ABSENT = "-"
DENIED = "rbac_access_denied"
"""How the details of a request begin, or the termination details of a connection, that a policy denied."""


@dataclass(frozen=True, kw_only=True)
class Line:
    """What a cause reads of an access log line; `-` where Envoy has no value, or the log's format has no such field."""

    status: int
    duration: int
    """Milliseconds."""
    flags: str
    details: str
    termination: str
    failure: str
    authority: str
    upstream: str
    connected: bool | None
    """Whether a connection to the upstream came about; None where the log's format does not have that."""
    cluster: str
    downstream_local: str
    server_name: str
    route: str
    flags_known: bool
    """Whether the format of the log has the response flags."""

    @property
    def is_denied(self) -> bool:
        """Whether a policy denied the request at this Envoy."""
        return self.details.startswith(DENIED)

    @classmethod
    def of(cls, line: AccessLogLine) -> Line:
        """Return the line of a proxy's log as causes read it."""
        return cls(
            status=line.status or 0,
            duration=line.duration or 0,
            flags=line.flags or _ABSENT,
            details=line.details or _ABSENT,
            termination=line.termination or _ABSENT,
            failure=line.failure or _ABSENT,
            authority=line.authority or _ABSENT,
            upstream=line.upstream or _ABSENT,
            connected=line.forwarded,
            cluster=line.cluster or _ABSENT,
            downstream_local=line.downstream_local or _ABSENT,
            server_name=line.server_name or _ABSENT,
            route=line.route or _ABSENT,
            flags_known=line.flags is not None,
        )


@dataclass(frozen=True)
class LoggedHop:
    """An Envoy on the request's path that logged it: its name, what is expected of its line, the line, its path."""

    name: str
    expected: Hop
    line: Line
    path: ProxyPath | None

    @property
    def flags(self) -> frozenset[str]:
        """The response flags that are not documented."""
        seen = frozenset(self.line.flags.split(",")) - {"-"}
        documented = self.expected.flags or frozenset()
        return seen - (documented if isinstance(documented, frozenset) else frozenset(documented.split(",")))

    @property
    def failure(self) -> str:
        """Envoy's transport failure with spaces, as its sources have it; empty where it is documented."""
        if self.line.failure == "-" or (self.expected.failure and self.expected.failure in self.line.failure):
            return ""
        return self.line.failure.replace("_", " ")


def _agreeing(path: ProxyPath | None, line: Line | None) -> ProxyPath | None:
    """Return the path as far as it agrees with the line: where Envoy chose another cluster, the route is not known."""
    if path is None or line is None or line.cluster == _ABSENT or line.cluster in path.clusters:
        return path
    return replace(path.through(line.cluster), chain=None, virtual_host=None, route=None)


@dataclass(frozen=True)
class Failure:
    """One probe that differs from its expected outcome; all names are those of the cluster."""

    expected: Outcome
    exchange: Exchange
    differences: tuple[Difference, ...]
    context: FailureContext

    @property
    def curl(self) -> CurlResult:
        """Curl's result."""
        return self.exchange.curl

    @cached_property
    def line(self) -> Line | None:
        """The line of the client's sidecar."""
        return Line.of(self.exchange.sidecar) if self.exchange.sidecar else None

    @cached_property
    def gateway_line(self) -> Line | None:
        """The line of the egress gateway."""
        return Line.of(self.exchange.gateway) if self.exchange.gateway else None

    @property
    def ztunnel_line(self) -> ZtunnelLine | None:
        """The line of the node's ztunnel."""
        return self.exchange.ztunnel

    @cached_property
    def waypoint_line(self) -> Line | None:
        """The line of the waypoint."""
        return Line.of(self.exchange.waypoint) if self.exchange.waypoint else None

    @property
    def configuration(self) -> Configuration:
        """The Istio resources; NOTHING where they could not be read."""
        return self.context.configuration or NOTHING

    @property
    def request(self) -> ClientRequest:
        """The client and its request."""
        host, port = self.exchange.probe.destination
        return self.context.request or ClientRequest(namespace="", labels={}, host=host, port=port)

    @property
    def sidecar_path(self) -> ProxyPath | None:
        """The request's path through the configuration of the client's sidecar."""
        return _agreeing(self.context.paths.get(SIDECAR), self.line)

    @property
    def gateway_path(self) -> ProxyPath | None:
        """The same at the egress gateway."""
        return _agreeing(self.context.paths.get(GATEWAY), self.gateway_line)

    @property
    def waypoint_path(self) -> ProxyPath | None:
        """The same at the waypoint."""
        return _agreeing(self.context.paths.get(WAYPOINT), self.waypoint_line)

    @cached_property
    def hops(self) -> tuple[LoggedHop, ...]:
        """Each Envoy that logged the request, the last one on the path first: it knows most."""
        return tuple(self._hops())

    def _hops(self) -> Iterator[LoggedHop]:
        if self.gateway_line is not None:
            yield LoggedHop(GATEWAY, self.expected.gateway or Hop(), self.gateway_line, self.gateway_path)
        if self.waypoint_line is not None:
            yield LoggedHop(WAYPOINT, self.expected.waypoint or Hop(), self.waypoint_line, self.waypoint_path)
        if self.line is not None:
            yield LoggedHop(SIDECAR, self.expected.sidecar_hop, self.line, self.sidecar_path)

    def flagged(self, *flags: str) -> LoggedHop | None:
        """Return the last Envoy that set one of these response flags, where that is not documented."""
        return next((hop for hop in self.hops if hop.flags & set(flags)), None)

    def workload(self, hop: str) -> Workload | None:
        """Return the pod of a hop."""
        others = {GATEWAY: self.context.gateway, WAYPOINT: self.context.waypoint}
        return others.get(hop, self.context.request)

    def differs(self, hop: str, field: str) -> bool:
        """Whether a field of a hop differs."""
        return any((each.hop, each.field) == (hop, field) for each in self.differences)

    @property
    def answered(self) -> bool:
        """Whether an answer came, whoever sent it."""
        return self.curl.exit == 0 and self.curl.status != 0

    @property
    def expects_block(self) -> bool:
        """Whether the sidecar was to block the request, because the registry does not know it."""
        return self.expected.cluster == "BlackHoleCluster" or self.expected.route == "block_all"
