"""What was seen: curl's word, Envoy's lines and the far end's, side by side for one request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_istio_egress.cluster.access_log import AccessLogLine
from pytest_istio_egress.outcome import Outcome
from pytest_istio_egress.probe import CurlResult, Probe

FAR_END = "x-outside-"
"""Prefix of the headers in which an outside server says what it saw."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and all its witnesses. `command` is curl's command line as it ran in the pod.

    `began` is when it was sent, by this machine's time.monotonic(): log lines that came earlier are another's.
    `sidecar`, `gateway` and `proxy` (the forward proxy's) are None where no log line came within its time, or none was
    asked for.
    `addresses` are those of client, gateway and forward proxy, so that the source seen outside can be named.
    """

    probe: Probe
    command: tuple[str, ...]
    client: str
    began: float
    curl: CurlResult
    sidecar: AccessLogLine | None
    gateway: AccessLogLine | None
    proxy: AccessLogLine | None = None
    addresses: Mapping[str, frozenset[str]]

    def far_end(self, fact: str) -> str | None:
        """Return what the outside server said of the request (server, source, protocol, ...), None if it didn't."""
        return self.curl.headers.get(FAR_END + fact) or None

    @property
    def envoy_headers(self) -> list[str]:
        """Headers of the answer that only an Envoy adds."""
        said = [name for name in self.curl.headers if name.startswith("x-envoy-")]
        return [*said, *(["server"] if self.curl.headers.get("server") == "envoy" else [])]


CONTROL = "a control through the same client"
"""What differs where a block was seen, but nothing shows that the client gets anywhere at all."""


@dataclass(frozen=True)
class Difference:
    """One thing that was not as documented."""

    what: str
    expected: str
    seen: str

    def __str__(self) -> str:
        """Return it as a line of a report."""
        return f"{self.what}: expected {self.expected}, seen {self.seen}"


Expectation = tuple[Probe, Outcome]
"""What is asked, and what should come of it."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What became of one expectation. It holds when nothing differs; `attempts` is how often it was asked."""

    probe: Probe
    expected: Outcome
    exchange: Exchange
    differences: tuple[Difference, ...]
    attempts: int

    @property
    def holds(self) -> bool:
        """Whether the mesh did as documented."""
        return not self.differences
