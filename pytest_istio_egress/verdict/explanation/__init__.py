"""The way of a request by the proxies' own configuration, without sending it: its hops, and what is odd."""

from __future__ import annotations

from pytest_istio_egress.verdict.explanation.ambient_odd import odd_at_waypoint, odd_at_ztunnel
from pytest_istio_egress.verdict.explanation.odd import odd_at_gateway, odd_at_sidecar
from pytest_istio_egress.verdict.explanation.way import ExplainedHop, Explanation, Way, next_request
from pytest_istio_egress.verdict.explanation.ztunnel import ZtunnelHop, service_for, services_in

__all__ = [
    "ExplainedHop",
    "Explanation",
    "Way",
    "ZtunnelHop",
    "next_request",
    "odd_at_gateway",
    "odd_at_sidecar",
    "odd_at_waypoint",
    "odd_at_ztunnel",
    "service_for",
    "services_in",
]
