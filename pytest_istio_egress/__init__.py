"""A pytest plugin and conformance suite for traffic that leaves an Istio mesh: the words a case is written with."""

from pytest_istio_egress.case import documented
from pytest_istio_egress.outcome import Hop, Outcome, blackholed, block_all
from pytest_istio_egress.probe import CLIENT, NEIGHBOUR, PLAIN, Probe, get, tcp, tls

__all__ = [
    "CLIENT",
    "NEIGHBOUR",
    "PLAIN",
    "Hop",
    "Outcome",
    "Probe",
    "blackholed",
    "block_all",
    "documented",
    "get",
    "tcp",
    "tls",
]
