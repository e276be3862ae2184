"""What is expected: the documented outcome of one probe, with the evidence that has to stand behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict, Unpack

from pytest_istio_egress.model.istio_versions import older, release
from pytest_istio_egress.model.probe import Probe

BLACKHOLE_EXITS = frozenset({52, 56})
"""Curl's exit when Envoy drops a connection: documented is 56; 52 where the FIN wins the race against the RST."""
BLACKHOLE_EXITS_OF_BYTES = BLACKHOLE_EXITS | {55}
"""The same for bytes of one's own (gopher://): the RST may come before they are sent, and curl fails at sending."""

PROBED_HOST = "outbound|PORT||HOST"
"""As a cluster: the one of the host and port that the probe requests."""

EARLY = 0.1
"""The part of a documented time by which Envoy may be early: it sets timers by the time at which the turn of its event
loop began, not by the clock, so that on a busy node a timeout of 3 s ends some milliseconds before."""


@dataclass(frozen=True, kw_only=True)
class Hop:
    """What the access log of one Envoy has to say of the request; None asks nothing of that field.

    The words are those of Envoy's default format: response flags (`UH`), code details (`direct_response`),
    upstream cluster (`outbound|80||host`), route name (`block_all`), protocol (`HTTP/2`).
    """

    cluster: str | None = None
    route: str | None = None
    flags: str | frozenset[str] | None = None
    """Several where each of them means the same, and which one it is depends on the moment."""
    details: str | None = None
    protocol: str | None = None
    status: int | None = None
    server_name: str | None = None
    method: str | None = None
    authority: str | None = None
    failure: str | None = None
    """A part of Envoy's upstream transport failure reason."""
    at: str | None = None
    """Which gateway's log: `<app label>.<namespace>`; None is the mesh's own egress gateway."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The documented outcome of one probe.

    `status` is the HTTP status that curl saw, None when no HTTP answer may arrive. `exit` is curl's exit code, or
    the set of codes that mean the same. `reached` is the name of the outside server that must have answered; left
    out, none may have: a block is only a block if nobody outside was reached.
    """

    status: int | None = None
    exit: int | frozenset[int] = 0
    reached: str | None = None

    # The access log of the client's own sidecar. A shorthand for `Hop`, since nearly every case needs it.
    cluster: str | None = None
    route: str | None = None
    flags: str | frozenset[str] | None = None
    details: str | None = None
    failure: str | None = None
    sidecar: bool = True
    """False: no Envoy may stand between the client and the server: no log line, no Envoy headers."""

    # The egress gateway's access log; the line is found by the request's user agent or by its connection.
    gateway: Hop | None = None

    # The access log of the forward proxy outside the mesh; the line is found by the last Envoy's connection.
    proxy: Hop | None = None

    # The request as the external server received it.
    source: str | None = None
    """Whose address the outside server saw: "client", "gateway" or "proxy" (the forward proxy)."""
    request_headers: Mapping[str, str | None] = field(default_factory=dict)
    """Headers (lower case) as the far end saw them; None: must not have arrived."""
    server_saw: Mapping[str, str | None] = field(default_factory=dict)
    """Other facts that the outside server states: protocol, server-name, client-certificate."""

    response_headers: Mapping[str, str | None] = field(default_factory=dict)
    """Headers (lower case) of the answer as curl saw them; None: must not be there."""
    body: str | None = None
    """A part of the answer's body."""
    min_seconds: float | None = None
    """Seconds that Envoy (or, without a sidecar, curl) must have spent on it, less EARLY of them."""
    connected_to: str | None = None
    """The address that curl has to name as the one it connected to; 192.0.2.x stands for an outside server's."""

    before_istio: Mapping[str, Outcome] = field(default_factory=dict)
    """Outcomes of older releases: `{"1.31": outcome}` is the outcome of releases before 1.31."""

    def for_probe(self, probe: Probe) -> Outcome:
        """Return the outcome with the probe's host and port in place of PROBED_HOST."""
        cluster = outbound(probe.host, probe.port) if self.cluster == PROBED_HOST else self.cluster
        before = {release: outcome.for_probe(probe) for release, outcome in self.before_istio.items()}
        if (cluster, before) == (self.cluster, self.before_istio):
            return self
        return replace(self, cluster=cluster, before_istio=before)

    def for_istio(self, version: str) -> Outcome:
        """Return the outcome that is documented for a version of Istio."""
        releases = sorted(self.before_istio, key=lambda name: release(name) or (0, 0))
        return next((self.before_istio[name] for name in releases if older(version, name)), self)

    @property
    def exits(self) -> frozenset[int]:
        """Curl's exit codes that fulfil the outcome."""
        return self.exit if isinstance(self.exit, frozenset) else frozenset({self.exit})

    @property
    def blocked(self) -> bool:
        """Whether this is a negative outcome, which says nothing unless a control passed beside it."""
        return self.reached is None and (self.status is None or self.status >= 400)

    @property
    def sidecar_hop(self) -> Hop:
        """What is asked of the sidecar's log line."""
        return Hop(cluster=self.cluster, route=self.route, flags=self.flags, details=self.details, failure=self.failure)


class Evidence(TypedDict, total=False):
    """Fields of `Outcome` that may be added to the outcomes below."""

    cluster: str | None
    route: str | None
    flags: str | frozenset[str] | None
    details: str | None
    failure: str | None
    gateway: Hop | None
    proxy: Hop | None
    source: str | None
    request_headers: Mapping[str, str | None]
    server_saw: Mapping[str, str | None]
    response_headers: Mapping[str, str | None]
    body: str | None
    min_seconds: float | None
    connected_to: str | None
    before_istio: Mapping[str, Outcome]


def reached(server: str = "outside", *, status: int = 200, **evidence: Unpack[Evidence]) -> Outcome:
    """Answered by an external server, through the cluster of the probed host and port unless another one is given."""
    return Outcome(**{"cluster": PROBED_HOST, **evidence, "status": status, "reached": server})  # type: ignore[arg-type]  # Evidence has the types of Outcome's fields


def reached_directly(server: str = "outside", **evidence: Unpack[Evidence]) -> Outcome:
    """Answered by an external server, with no Envoy on the way: no log line, no Envoy headers."""
    return Outcome(**{**evidence, "status": 200, "reached": server, "sidecar": False})  # type: ignore[arg-type]  # as above


def blocked_http(**evidence: Unpack[Evidence]) -> Outcome:
    """Answered by the sidecar with 502: it knows the port as HTTP, but not the host (route block_all)."""
    return Outcome(**{"status": 502, "route": "block_all", "details": "direct_response", **evidence})  # type: ignore[arg-type]  # as above


def blocked_tcp(exits: frozenset[int] = BLACKHOLE_EXITS, **evidence: Unpack[Evidence]) -> Outcome:
    """Dropped by the sidecar: no listener for the port, or no filter chain (BlackHoleCluster, flag UH)."""
    return Outcome(**{"cluster": "BlackHoleCluster", "flags": "UH", **evidence, "exit": exits})  # type: ignore[arg-type]  # as above


def blocked_tls(**evidence: Unpack[Evidence]) -> Outcome:
    """Dropped by the sidecar during the client's TLS handshake: curl exit 35 (BlackHoleCluster, flag UH)."""
    return blocked_tcp(frozenset({35}), **evidence)


def timed_out(*, after: float, **evidence: Unpack[Evidence]) -> Outcome:
    """Answered by the sidecar with 504 once a timeout of `after` seconds was over (flag UT)."""
    return Outcome(**{"cluster": PROBED_HOST, "flags": "UT", **evidence, "status": 504, "min_seconds": after})  # type: ignore[arg-type]  # as above


def outbound(host: str, port: int = 80, *, subset: str = "") -> str:
    """Return Istio's name of the cluster for a host and port: outbound|80||api.test."""
    return f"outbound|{port}|{subset}|{host}"
