"""A pytest plugin and conformance suite for traffic that leaves an Istio mesh: the words a case is written with."""

from typing import TYPE_CHECKING

from pytest_istio_egress.model.case import documented
from pytest_istio_egress.model.outcome import Hop, Outcome, blackholed, block_all
from pytest_istio_egress.model.probe import CLIENT, NEIGHBOUR, PLAIN, Probe, get, tcp, tls, workload

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
    "blackholed",
    "block_all",
    "documented",
    "get",
    "tcp",
    "tls",
    "workload",
]


def __getattr__(name: str) -> object:
    """Load Egress when it is first named: every pytest run imports this package, few of them ask a mesh."""
    if name != "Egress":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pytest_istio_egress.pipeline.egress import Egress

    return Egress
