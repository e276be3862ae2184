"""A pytest plugin and conformance suite for egress from an Istio mesh: the names that cases are written with."""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pytest_istio_egress.model.ambient_outcome import ended_by_waypoint, reached_by_waypoint, reached_by_ztunnel
    from pytest_istio_egress.model.case import documented
    from pytest_istio_egress.model.cluster_name import at_waypoint, outbound
    from pytest_istio_egress.model.outcome import (
        Hop,
        Outcome,
        Tunnel,
        answered,
        blocked_http,
        blocked_tcp,
        blocked_tls,
        reached,
        reached_directly,
        timed_out,
    )
    from pytest_istio_egress.model.probe import AMBIENT, CLIENT, NEIGHBOUR, PLAIN, Probe, get, tcp, workload
    from pytest_istio_egress.model.sent_request import over_tls
    from pytest_istio_egress.pipeline.egress import Egress

__all__ = [
    "AMBIENT",
    "CLIENT",
    "NEIGHBOUR",
    "PLAIN",
    "Egress",
    "Hop",
    "Outcome",
    "Probe",
    "Tunnel",
    "answered",
    "at_waypoint",
    "blocked_http",
    "blocked_tcp",
    "blocked_tls",
    "documented",
    "ended_by_waypoint",
    "get",
    "outbound",
    "over_tls",
    "reached",
    "reached_by_waypoint",
    "reached_by_ztunnel",
    "reached_directly",
    "tcp",
    "timed_out",
    "workload",
]

_OUTSIDE_OUTCOME = {
    "documented": "model.case",
    **dict.fromkeys(("ended_by_waypoint", "reached_by_waypoint", "reached_by_ztunnel"), "model.ambient_outcome"),
    **dict.fromkeys(("AMBIENT", "CLIENT", "NEIGHBOUR", "PLAIN", "Probe", "get", "tcp", "workload"), "model.probe"),
    **dict.fromkeys(("at_waypoint", "outbound"), "model.cluster_name"),
    "over_tls": "model.sent_request",
    "Egress": "pipeline.egress",
}
"""The module of each name; all others are in model/outcome.py."""


def __getattr__(name: str) -> object:
    """Load the module of a name when it is first used: every pytest run imports this package, few test a mesh."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_OUTSIDE_OUTCOME.get(name, 'model.outcome')}")
    value: object = getattr(module, name)
    globals()[name] = value
    return value
