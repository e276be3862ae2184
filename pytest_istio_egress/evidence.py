"""What was seen: curl's word, Envoy's lines and the far end's, side by side for one request."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pytest_istio_egress.cluster.access_log import AccessLogLine
from pytest_istio_egress.cluster.surroundings import Surroundings
from pytest_istio_egress.outcome import Outcome
from pytest_istio_egress.probe import CurlResult, Probe

FAR_END = "x-outside-"
"""Prefix of the headers in which an outside server says what it saw."""


def pasteable(command: Sequence[str]) -> str:
    """Return curl's command line without what makes it speak JSON, which only a program wants to read."""
    words = list(command)
    if "--write-out" in words:
        begin = words.index("--write-out")
        del words[begin : begin + 2]
    return shlex.join(words)


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request and all its witnesses. `command` is curl's command line as it ran in the pod, `client` a line that
    can be pasted: the same request, by kubectl.

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
    def went_to_gateway(self) -> bool:
        """Whether the sidecar's own line names one of the egress gateway's addresses as where it sent the request."""
        if self.sidecar is None:
            return False
        return self.sidecar.upstream.rpartition(":")[0] in self.addresses.get("gateway", ())

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
    """What became of one expectation. It holds when nothing differs; `attempts` is how often it was asked.

    `surroundings` are looked at only where it does not hold.
    """

    probe: Probe
    expected: Outcome
    exchange: Exchange
    differences: tuple[Difference, ...]
    attempts: int
    surroundings: Surroundings = field(default_factory=Surroundings)

    @property
    def holds(self) -> bool:
        """Whether the mesh did as documented."""
        return not self.differences
