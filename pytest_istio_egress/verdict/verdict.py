"""The verdict on one probe: its evidence from every hop, the differences from the expected outcome, and the cause."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.addresses import same_form, without_port
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import CurlResult, Probe
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine
from pytest_istio_egress.verdict.failure_context import FailureContext

SERVER_HEADER = "x-outside-"
"""Prefix of the response headers in which the suite's external server reports what it received."""


def without_json_output(command: Sequence[str]) -> str:
    """Return curl's command line for a shell, without the option that makes it print its result as JSON."""
    arguments = list(command)
    if "--write-out" in arguments:
        begin = arguments.index("--write-out")
        del arguments[begin : begin + 2]
    return shlex.join(arguments)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request, and its evidence from every hop."""

    probe: Probe
    command: tuple[str, ...]
    """curl's command line as it ran in the pod."""
    kubectl_command: str
    """The same request as a kubectl command that can be pasted."""
    began: float
    """When it was sent (time.monotonic()): an earlier log line belongs to another request."""
    curl: CurlResult
    sidecar: AccessLogLine | None
    """The line of the client's sidecar; None where none was found in time, as for the others."""
    ztunnel: ZtunnelLine | None = None
    """The line of the node's ztunnel, in an ambient mesh."""
    waypoint: AccessLogLine | None = None
    gateway: AccessLogLine | None
    """The line of the egress gateway."""
    proxy: AccessLogLine | None = None
    """The line of the forward proxy."""
    control_seconds: float = 0.0
    """The longest time of the controls that the same client sent beside it: how busy the node was."""
    addresses: Mapping[str, frozenset[str]]
    """Pod addresses by `client`, `waypoint`, `gateway` and `proxy`: names for the source that the server saw."""

    def server_saw(self, fact: str) -> str | None:
        """Return what the external server reported (server, source, protocol, ...); None if it did not."""
        return self.curl.headers.get(SERVER_HEADER + fact) or None

    @property
    def seconds(self) -> float:
        """Envoy's own duration; without an Envoy curl's, which includes the time between client and proxy."""
        envoy = self.sidecar or self.waypoint
        duration = envoy.duration if envoy else None
        return self.curl.seconds if duration is None else duration / 1000

    @property
    def overhead(self) -> float:
        """The seconds that the node needed for anything but waiting: between curl and Envoy, and for the controls."""
        return max(self.curl.seconds - self.seconds, self.control_seconds)

    @property
    def sent_authority(self) -> str:
        """The Host header that curl sent, with the run's names."""
        return replace(self.probe, url=self.command[-1], arguments=self.command[1:-1]).authority if self.command else ""

    @property
    def source(self) -> str | None:
        """The source address that the external server reported, in the form of `addresses`."""
        address = self.server_saw("source")
        return address and same_form(address)

    @property
    def went_to_gateway(self) -> bool:
        """Whether the sidecar's own line names an address of the egress gateway as its upstream."""
        if self.sidecar is None:
            return False
        return without_port(self.sidecar.upstream or "") in self.addresses.get("gateway", ())

    @property
    def envoy_headers(self) -> list[str]:
        """The names of the response headers that only Envoy adds; none for a user's own workload.

        Its host may stand behind an Envoy of its own, so they prove nothing about the client's sidecar.
        """
        if self.probe.from_own_workload:
            return []
        names = [name for name in self.curl.headers if name.startswith("x-envoy-")]
        return [*names, *(["server"] if self.curl.headers.get("server") == "envoy" else [])]

    @property
    def is_from_an_envoy(self) -> bool:
        """Whether the response names an Envoy as the server: the client's own, which answered itself, or another."""
        return self.curl.headers.get("server") in ("envoy", "istio-envoy")


Expectation = tuple[Probe, Outcome]
"""One parameter of a test: a probe and its expected outcome."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The result of one probe: passed where nothing differs from the expected outcome."""

    probe: Probe
    expected: Outcome
    exchange: Exchange
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...] = ()
    """Expected fields of access logs that the format of a log does not have, as `<hop> <field>`."""
    attempts: int
    """How many times the probe was sent."""
    unexpected: tuple[Verdict, ...] = ()
    """The answers that were not as expected, where others to the same probe were; in the order in which they came."""
    failure_context: FailureContext = field(default_factory=FailureContext)
    """The state of the cluster around a failure; read only where something differs."""
    cause: str = ""
    """The diagnosis of a failure, computed once, with the run's own names; empty where nothing differs."""

    @property
    def passed(self) -> bool:
        """Whether nothing differs, and every expected field is known."""
        return not self.differences and not self.unknown

    @property
    def log_trouble(self) -> str:
        """Why access logs do not tell whether the outcome is the expected one; empty where they do."""
        if self.unknown and not self.differences:
            return (
                f"the access log has no field for the expected {', '.join(self.unknown)}: add it to the format of that "
                "proxy's log (accessLogFormat of the mesh, or its provider in extensionProviders)"
            )
        return self.failure_context.log_trouble

    @property
    def unsteady(self) -> bool:
        """Whether it passed, but not with each of its answers."""
        return self.passed and bool(self.unexpected)


@dataclass(frozen=True, kw_only=True)
class NoVerdict:
    """What takes a verdict's place where the cluster, or the test itself, failed: nothing is known about the mesh."""

    probe: Probe
    expected: Outcome
    error: Exception

    @property
    def passed(self) -> bool:
        """Never."""
        return False


Answer = Verdict | NoVerdict
"""What came of one probe."""
