"""A NetworkPolicy closes the way past the waypoint: the client's connections may go to waypoints and to DNS only.

curl -> ztunnel --HBONE--> waypoint -> outside    stays open
curl -> ztunnel ----------------x----> outside    closed, whatever address the client uses
"""

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Outcome,
    Tunnel,
    documented,
    get,
    reached_by_waypoint,
    reached_by_ztunnel,
)

POD = "192.0.2.180"
THROUGH = get("http://by-waypoint-only.test/headers", client=AMBIENT, to=None)
PAST = get("http://by-waypoint-only.test:8080/headers", client=AMBIENT, to=POD, max_time=3)


@documented(
    source="ambient/usage/networkpolicy/",
    summary="With a NetworkPolicy that allows only waypoints and DNS, no connection bypasses the waypoint",
    requires=["ambient", "address-allocation", "network-policy"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/network-policy-closes-bypass"],
)
def test_network_policy_closes_way_past_waypoint(egress: Egress) -> None:
    egress.expect_all((THROUGH, reached_by_waypoint()), (PAST, reached_by_ztunnel(service="")))

    egress.apply("network_policy_enforced.yaml")
    egress.expect(THROUGH, reached_by_waypoint())
    egress.expect(
        PAST, Outcome(exit=28, sidecar=False, ztunnel=Tunnel(service="", hbone=False, error="deadline has elapsed"))
    )

    egress.remove("network_policy_enforced.yaml")
    egress.expect(PAST, reached_by_ztunnel(service=""))
