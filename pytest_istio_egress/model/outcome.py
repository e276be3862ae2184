"""The expected outcome of one probe: curl's result, and the fields of each hop's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import ceil
from typing import TypedDict, Unpack

from pytest_istio_egress.model.cluster_name import at_waypoint, outbound
from pytest_istio_egress.model.istio_versions import older, release
from pytest_istio_egress.model.probe import Probe
from pytest_istio_egress.model.sent_request import sent_request

BLACKHOLE_EXITS = frozenset({52, 56})
"""Curl's exit when Envoy drops a connection: documented is 56; 52 where the FIN wins the race against the RST."""
BLACKHOLE_EXITS_OF_BYTES = BLACKHOLE_EXITS | {55}
"""The same for raw bytes (gopher://): the RST may arrive before curl has sent them, and sending fails (55)."""

PROBED_HOST = "outbound|PORT||HOST"
"""In place of a cluster's name: the cluster of the host and port that the probe connects to."""

PROBED_AT_WAYPOINT = "inbound-vip|PORT|PROTOCOL|HOST"
"""The same in the line of a waypoint, which has a cluster for requests (http) and one for connections (tcp)."""

BLACK_HOLE = "BlackHoleCluster"
"""Istio's cluster for what must not leave the mesh: it has no endpoints."""
VIA_UPSTREAM = "via_upstream"
"""Envoy's response code details where the response came from upstream."""

EARLY = 0.1
"""The fraction of a documented time by which Envoy may be early. Its timers count from the start of the current turn of
the event loop, not from the clock, so that on a busy node a timeout of 3 s ends some milliseconds early."""

LATE = 0.25
"""The fraction of a documented time by which Envoy may be late, in addition to what the controls beside it took.

A timer never fires before its time has passed, and fires as late as the node schedules Envoy: there is no upper limit.
So the bound has a part that is relative to the documented time, and one that is measured at the same moment
(`Exchange.control_seconds`): where a node is too busy for a request without any timer, it is too busy for a timer. A
time that is half as long again (3 s changed to 4.5 s) is out of bounds unless a control takes a quarter of it."""


@dataclass(frozen=True, kw_only=True)
class Hop:
    """The expected fields of one Envoy's access log line; a field that is None is not compared.

    The values are those of Envoy's default format: response flags (`UH`), code details (`direct_response`),
    upstream cluster (`outbound|80||host`), route name (`block_all`), protocol (`HTTP/2`).
    """

    cluster: str | None = None
    route: str | None = None
    flags: str | frozenset[str] | None = None
    """A set where several flags mean the same, and timing decides which of them is logged."""
    details: str | None = None
    protocol: str | None = None
    status: int | None = None
    server_name: str | None = None
    method: str | None = None
    authority: str | None = None
    failure: str | None = None
    """A part of Envoy's upstream transport failure reason."""
    termination: str | None = None
    """Why Envoy itself ended a TCP or TLS connection (its connection termination details)."""
    at: str | None = None
    """The gateway that logs it, `<app label>.<namespace>`; None is the mesh's egress gateway."""

    def for_probe(self, probe: Probe) -> Hop:
        """Return it with the cluster of the probe's host and port in place of PROBED_AT_WAYPOINT."""
        if self.cluster != PROBED_AT_WAYPOINT:
            return self
        protocol = "http" if probe.is_plain_http else "tcp"
        return replace(self, cluster=at_waypoint(*probe.destination, protocol))

    @property
    def local_reply(self) -> bool:
        """Whether these fields say that this Envoy itself ends the request: nothing further on has a part in that."""
        return (
            self.cluster == BLACK_HOLE
            or self.route == "block_all"
            or self.flags not in (None, "-")
            or self.details not in (None, VIA_UPSTREAM)
            or self.failure is not None
            or self.termination is not None
        )


@dataclass(frozen=True, kw_only=True)
class Tunnel:
    """The expected fields of the line about the client's connection in ztunnel's access log.

    A field that is None is not compared.
    """

    service: str | None = None
    """The host of the ServiceEntry or Service that the connection belongs to; "" for none."""
    hbone: bool | None = None
    """Whether ztunnel sent it through a tunnel, as it does to a waypoint."""
    error: str = ""
    """A part of the error that ended the connection; "" where none may have."""

    def for_probe(self, probe: Probe) -> Tunnel:
        """Return it with the probe's host in place of PROBED_HOST."""
        return replace(self, service=probe.destination[0]) if self.service == PROBED_HOST else self


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The documented outcome of one probe.

    `status` is the HTTP status that curl received (of SMTP and FTP the reply code). None: any, where curl exits with
    0; where it fails, no response may arrive. `exit` is curl's exit code, or a set of codes that mean the same.
    `reached` is the name of the suite's external server that must have responded; None where none may be reached, as
    for every block. Hosts of your own do not report their name: leave `reached` out.
    """

    status: int | None = None
    exit: int | frozenset[int] = 0
    reached: str | None = None

    # The client's sidecar, in its access log. Not a `Hop` of its own, because nearly every case states these.
    cluster: str | None = None
    route: str | None = None
    flags: str | frozenset[str] | None = None
    details: str | None = None
    failure: str | None = None
    sidecar: bool = True
    """False where no Envoy may be on the path between client and server: no log line, no Envoy headers."""

    # In an ambient mesh: the log of the node's ztunnel, by the client's own port, and that of the waypoint, by the
    # request's user agent.
    ztunnel: Tunnel | None = None
    waypoint: Hop | None = None

    # The egress gateway's access log; the line is found by the request's user agent or by its connection.
    gateway: Hop | None = None

    # The access log of the forward proxy outside the mesh; the line is found by the last Envoy's connection.
    proxy: Hop | None = None

    # The request as the external server received it.
    source: str | None = None
    """The owner of the source address that the external server saw: "client", "waypoint", "gateway" or "proxy" (forward
    proxy)."""
    request_headers: Mapping[str, str | None] = field(default_factory=dict)
    """Request headers (lower case) that the external server received; None: it must not have received the header."""
    server_saw: Mapping[str, str | None] = field(default_factory=dict)
    """Other fields of the external server's report: host, method, path, port, protocol, server-name, alpn,
    client-certificate; None: it must not have reported the field. What is not stated is derived from the probe
    (`sent_request`), as nothing on the path changes it unless the case's document says so."""

    response_headers: Mapping[str, str | None] = field(default_factory=dict)
    """Response headers (lower case) that curl received; None: it must not have received the header."""
    body: str | None = None
    """A part of the response body."""
    seconds: float | None = None
    """The documented time that Envoy (or, without a sidecar, curl) spends on the request, no less and no more; EARLY
    and LATE are the tolerances."""
    connected_to: str | None = None
    """The address that curl must have connected to; 192.0.2.x stands for an external server's."""

    times: int = 1
    """How many answers in a row are compared; the probe is sent as often."""
    share: float = 1.0
    """The part of these answers, above 0 up to 1, that must be as expected."""

    before_istio: Mapping[str, Outcome] = field(default_factory=dict)
    """Outcomes of older releases: `{"1.31": outcome}` is the outcome of releases before 1.31."""

    def __post_init__(self) -> None:
        """Refuse a number of answers that could not be asked for, or that would accept anything."""
        if self.times < 1 or not 0 < self.share <= 1:
            raise ValueError(f"times={self.times}, share={self.share}: use times from 1, and a share above 0 up to 1")
        if self.share < 1 and self.times == 1:
            raise ValueError(f"share={self.share} is a share of several answers: give times, such as times=20")

    def for_probe(self, probe: Probe) -> Outcome:
        """Return the outcome with the probe's host and port in place of PROBED_HOST, and what its server receives."""
        return replace(
            self,
            cluster=outbound(*probe.destination) if self.cluster == PROBED_HOST else self.cluster,
            ztunnel=self.ztunnel.for_probe(probe) if self.ztunnel else None,
            waypoint=self.waypoint.for_probe(probe) if self.waypoint else None,
            server_saw={**sent_request(probe), **self.server_saw} if self.reached else self.server_saw,
            before_istio={release: outcome.for_probe(probe) for release, outcome in self.before_istio.items()},
        )

    def for_istio(self, version: str) -> Outcome:
        """Return the outcome that is documented for a version of Istio."""
        releases = sorted(self.before_istio, key=lambda name: release(name) or (0, 0))
        return next((self.before_istio[name] for name in releases if older(version, name)), self)

    @property
    def exits(self) -> frozenset[int]:
        """The exit codes of curl that are accepted."""
        return self.exit if isinstance(self.exit, frozenset) else frozenset({self.exit})

    @property
    def blocked(self) -> bool:
        """Whether this is a block, which is evidence only if a control passed beside it.

        An error status that a host itself answers, such as 401 of an API that wants a key, is none.
        """
        if self.reached is not None:
            return False
        if self.status is None:
            return 0 not in self.exits
        hops = (self.sidecar_hop, self.waypoint, self.gateway, self.proxy)
        return self.status >= 400 and any(hop.local_reply for hop in hops if hop)

    @property
    def needed(self) -> int:
        """How many of the answers must be as expected."""
        return ceil(self.share * self.times)

    @property
    def sidecar_hop(self) -> Hop:
        """The expected fields of the sidecar's log line."""
        return Hop(cluster=self.cluster, route=self.route, flags=self.flags, details=self.details, failure=self.failure)


class Evidence(TypedDict, total=False):
    """Fields of `Outcome` that may be added to the outcomes below."""

    cluster: str | None
    route: str | None
    flags: str | frozenset[str] | None
    details: str | None
    failure: str | None
    ztunnel: Tunnel | None
    gateway: Hop | None
    proxy: Hop | None
    source: str | None
    request_headers: Mapping[str, str | None]
    server_saw: Mapping[str, str | None]
    response_headers: Mapping[str, str | None]
    body: str | None
    seconds: float | None
    connected_to: str | None
    times: int
    share: float
    before_istio: Mapping[str, Outcome]


def reached(server: str = "outside", *, status: int = 200, **evidence: Unpack[Evidence]) -> Outcome:
    """Expect a response of an external server, through the cluster of the probe's host and port unless one is given."""
    return Outcome(**{"cluster": PROBED_HOST, **evidence, "status": status, "reached": server})  # type: ignore[arg-type]  # Evidence has the types of Outcome's fields


def answered(*, status: int | None = 200, **evidence: Unpack[Evidence]) -> Outcome:
    """Expect a response of a host of your own, through the cluster of the probe's host and port unless one is given."""
    return Outcome(**{"cluster": PROBED_HOST, **evidence, "status": status})  # type: ignore[arg-type]  # as above


def reached_directly(server: str = "outside", **evidence: Unpack[Evidence]) -> Outcome:
    """Expect a response of an external server, with no Envoy on the path: no log line, no Envoy headers."""
    return Outcome(**{**evidence, "status": 200, "reached": server, "sidecar": False})  # type: ignore[arg-type]  # as above


def blocked_http(**evidence: Unpack[Evidence]) -> Outcome:
    """Expect the sidecar's 502: it has routes for the port, but none for the host (route block_all)."""
    return Outcome(**{"status": 502, "route": "block_all", "details": "direct_response", **evidence})  # type: ignore[arg-type]  # as above


def blocked_tcp(exits: frozenset[int] = BLACKHOLE_EXITS, **evidence: Unpack[Evidence]) -> Outcome:
    """Expect that the sidecar closes the connection: no listener or filter chain matches (BlackHoleCluster, UH)."""
    return Outcome(**{"cluster": "BlackHoleCluster", "flags": "UH", **evidence, "exit": exits})  # type: ignore[arg-type]  # as above


def blocked_tls(**evidence: Unpack[Evidence]) -> Outcome:
    """Expect that the sidecar closes the connection in the TLS handshake: curl exit 35 (BlackHoleCluster, UH)."""
    return blocked_tcp(frozenset({35}), **evidence)


def timed_out(*, after: float, **evidence: Unpack[Evidence]) -> Outcome:
    """Expect the sidecar's 504 when a timeout of `after` seconds has passed (flag UT)."""
    return Outcome(**{"cluster": PROBED_HOST, "flags": "UT", **evidence, "status": 504, "seconds": after})  # type: ignore[arg-type]  # as above
