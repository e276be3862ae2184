"""A Gateway without a route to it, and a route to the gateway by a short name."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached


@documented(
    source="reference/config/networking/virtual-service/#Destination",
    summary="A Gateway without a route redirects no traffic; a short destination name means the rule's own namespace",
    requires=["egress-gateway"],
    outcomes=["egress-gateway/without-route-unused", "egress-gateway/short-name-own-namespace"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://no-way-to-exit.test/headers"),
            reached(source="client"),
            id="port-without-route",
        ),
        pytest.param(
            get("http://short-name.test/headers"),
            Outcome(status=503, flags="NC", details="cluster_not_found"),
            id="route-by-short-name",
        ),
    ],
)
def test_gateway_without_route_not_used(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
