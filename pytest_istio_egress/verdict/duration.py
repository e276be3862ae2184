"""Whether a request took its documented time: both bounds, with the tolerances of Envoy's timers."""

from __future__ import annotations

from pytest_istio_egress.model.outcome import EARLY, LATE
from pytest_istio_egress.verdict.verdict import Exchange


def too_early(documented: float, exchange: Exchange) -> bool:
    """Whether the request ended before its documented time, in seconds."""
    return exchange.seconds < documented * (1 - EARLY)


def too_late(documented: float, exchange: Exchange) -> bool:
    """Whether the request ended later than its documented time and the overhead that its controls show allow."""
    return exchange.seconds > documented * (1 + LATE) + exchange.overhead
