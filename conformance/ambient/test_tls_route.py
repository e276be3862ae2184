"""A TLSRoute whose parent is a ServiceEntry: the waypoint forwards the client's TLS, unopened, where the route says.

curl --TLS in HBONE--> waypoint: the route of second.test -> the entry of waypoint-tls-destination.test -> second:443
"""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Hop,
    Outcome,
    Probe,
    at_waypoint,
    documented,
    get,
    reached_by_waypoint,
)

DESTINATION = at_waypoint("waypoint-tls-destination.test", 443, "tcp")


@documented(
    source="ambient/usage/l7-features/#traffic-routing",
    summary="A waypoint forwards TLS connections to a ServiceEntry as the TLSRoute with the entry as parent states",
    requires=["ambient", "address-allocation", "tls-route"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/tls-route-destination"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://second.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint("second", waypoint=Hop(cluster=DESTINATION, server_name="second.test")),
            id="routed-to-another-host",
        ),
        pytest.param(
            get("https://waypoint-tls-not-routed.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="without-route",
        ),
    ],
)
def test_waypoint_applies_tls_route_of_entry(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
