"""What a cause is: the fields of the difference that it explains, the evidence that it needs, and its sentence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.diagnosis.evidence import PRESENT, Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure

Sentence = Callable[[Failure], str | None]
"""Returns None where the evidence does not fit, or where the outcome documents exactly this."""

Fields = frozenset[tuple[str, str]]
"""Fields of hops, by the names of `Difference`; a field may end with `*`."""


def fields(hop: str, *names: str) -> Fields:
    """Return some fields of a hop."""
    return frozenset((hop, name) for name in names)


_OF_ENVOY = (
    "access log", "upstream cluster", "response flags", "response code details", "route", "status",
    "upstream transport failure",
)  # fmt: skip
RESULT = fields("client", "HTTP status", "curl exit code") | fields("external server", "that answered")
"""What the client got: an answer, and whose."""
AT_SIDECAR = fields("sidecar", *_OF_ENVOY)
AT_GATEWAY = fields("egress gateway", *_OF_ENVOY)
AT_WAYPOINT = fields("waypoint", *_OF_ENVOY)
AT_ZTUNNEL = fields("ztunnel", "access log", "destination service", "tunnel (HBONE)", "error")
OUTCOME = RESULT | AT_SIDECAR | AT_GATEWAY | AT_WAYPOINT
"""What an Envoy that ends the request, or sends it elsewhere, changes: not headers, bodies or times by themselves."""
ROUTED = OUTCOME | fields("external server", "*") | fields("client", "response body", "address*")
"""What changes where a request is sent elsewhere: another server may answer."""
DURATION = fields("client", "duration")


@dataclass(frozen=True)
class Cause:
    """One cause. `name` is how docs/causes.md lists it."""

    name: str
    explains: Fields
    needs: tuple[Evidence, ...]
    sentence: Sentence

    def of(self, failure: Failure) -> str | None:
        """Return the sentence where the evidence is there and explains a field that differs."""
        if not any(self._explains(difference) for difference in failure.differences):
            return None
        if not all(PRESENT[each](failure) for each in self.needs):
            return None
        return self.sentence(failure)

    def _explains(self, difference: Difference) -> bool:
        return any(
            hop == difference.hop
            and (difference.field.startswith(name[:-1]) if name.endswith("*") else name == difference.field)
            for hop, name in self.explains
        )


def cause(name: str, *, explains: Fields, needs: tuple[Evidence, ...]) -> Callable[[Sentence], Cause]:
    """Declare a function as the cause `name`."""
    return lambda sentence: Cause(name, explains, needs, sentence)


def as_sentence(clause: str) -> str:
    """Return a main clause as a sentence."""
    return f"{clause[0].upper()}{clause[1:].rstrip('.')}."


def joined(*parts: str) -> str:
    """Return the parts that are not empty, as one text."""
    return " ".join(filter(None, parts))
