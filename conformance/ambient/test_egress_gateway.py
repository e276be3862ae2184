"""A waypoint of another namespace is the egress gateway of ambient clients: entries choose it by two labels.

curl -> ztunnel --HBONE--> waypoint of another namespace, whose policy applies to every host -> outside
"""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Hop,
    Outcome,
    Probe,
    documented,
    ended_by_waypoint,
    get,
    reached_by_waypoint,
)

SHARED = "shared-waypoint.egress-client"
POST = ("--request", "POST")
PASSED_ON = Hop(at=SHARED, details="via_upstream")
DENIED = Hop(at=SHARED, details="rbac_access_denied_matched_policy[none]")


@documented(
    source="ambient/usage/egress-gateway/",
    summary="Entries with the label istio.io/use-waypoint-namespace leave through the waypoint of that namespace",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/egress-gateway-200", "ambient/egress-gateway-policy-403"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://by-gateway.test/anything", client=AMBIENT, to=None),
            reached_by_waypoint(waypoint=PASSED_ON),
            id="one-host",
        ),
        pytest.param(
            get("http://by-gateway-second.test/anything", client=AMBIENT, to=None),
            reached_by_waypoint("second", waypoint=PASSED_ON),
            id="another-host",
        ),
        pytest.param(
            get("http://by-gateway.test/anything", client=AMBIENT, to=None, arguments=POST),
            ended_by_waypoint(status=403, waypoint=DENIED),
            id="denied-for-every-host",
        ),
        pytest.param(
            get("http://not-by-gateway.test/anything", client=AMBIENT, to=None, arguments=POST),
            reached_by_waypoint(server_saw={"method": "POST"}),
            id="control-waypoint-of-the-own-namespace",
        ),
    ],
)
def test_waypoint_of_other_namespace_is_egress_gateway(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
