"""A pytest plugin and conformance suite for egress from an Istio mesh: the names that cases are written with."""

from typing import TYPE_CHECKING

from pytest_istio_egress.model.case import documented
from pytest_istio_egress.model.outcome import (
    Hop,
    Outcome,
    answered,
    blocked_http,
    blocked_tcp,
    blocked_tls,
    outbound,
    reached,
    reached_directly,
    timed_out,
)
from pytest_istio_egress.model.probe import CLIENT, NEIGHBOUR, PLAIN, Probe, get, tcp, workload
from pytest_istio_egress.model.sent_request import over_tls

if TYPE_CHECKING:
    from pytest_istio_egress.pipeline.egress import Egress

__all__ = [
    "CLIENT",
    "NEIGHBOUR",
    "PLAIN",
    "Egress",
    "Hop",
    "Outcome",
    "Probe",
    "answered",
    "blocked_http",
    "blocked_tcp",
    "blocked_tls",
    "documented",
    "get",
    "outbound",
    "over_tls",
    "reached",
    "reached_directly",
    "tcp",
    "timed_out",
    "workload",
]


def __getattr__(name: str) -> object:
    """Load Egress when it is first named: every pytest run imports this package, few of them test a mesh."""
    if name != "Egress":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_istio_egress.pipeline.egress import Egress

    return Egress
