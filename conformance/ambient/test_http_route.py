"""HTTPRoutes whose parents are ServiceEntries: the waypoint applies their rules."""

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


@documented(
    source="ambient/usage/l7-features/#traffic-routing",
    summary="A waypoint applies the rules of an HTTPRoute whose parent is a ServiceEntry",
    requires=["ambient", "address-allocation", "gateway-api"],
    fixtures=["ambient.yaml"],
    outcomes=[
        "ambient/http-route-timeout-504",
        "ambient/http-route-headers",
        "ambient/http-route-split",
        "ambient/http-route-redirect",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://waypoint-timed.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(waypoint=Hop(details="via_upstream")),
            id="in-time",
        ),
        pytest.param(
            get("http://waypoint-timed.test/delay/1", client=AMBIENT, to=None),
            ended_by_waypoint(status=504, waypoint=Hop(flags="UT", details="response_timeout"), seconds=0.5),
            id="too-late",
        ),
        pytest.param(
            get("http://waypoint-headers.test/headers", client=AMBIENT, to=None, headers={"x-secret": "of the client"}),
            reached_by_waypoint(
                request_headers={"x-added": "by-waypoint", "x-secret": None},
                response_headers={"x-answered": "by-waypoint"},
            ),
            id="headers",
        ),
        pytest.param(
            get("http://waypoint-split.test/anything/second", client=AMBIENT, to=None),
            reached_by_waypoint("second", waypoint=Hop(details="via_upstream"), times=5),
            id="all-weight-on-the-second",
        ),
        pytest.param(
            get("http://waypoint-split.test/anything/first", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="another-path",
        ),
        pytest.param(
            get("http://waypoint-redirect.test/headers", client=AMBIENT, to=None),
            ended_by_waypoint(
                status=301,
                waypoint=Hop(details="direct_response"),
                response_headers={"location": "https://waypoint-redirect.test/headers"},
            ),
            id="redirect",
        ),
    ],
)
def test_waypoint_applies_http_route_of_entry(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
