"""A client with a sidecar does not go through the waypoint of a ServiceEntry, so nothing enforces its policies there.

curl -> ztunnel --HBONE--> waypoint: its policy -> outside
curl -> sidecar ---------------------------------> outside
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
    reached,
    reached_by_waypoint,
)

POST = ("--request", "POST")
DENIED = Hop(details="rbac_access_denied_matched_policy[none]")


@documented(
    source="ambient/architecture/data-plane/#inbound",
    summary="A sidecar sends requests to a ServiceEntry past its waypoint, and past the policies enforced there",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/sidecar-past-waypoint"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://of-both-data-planes.test/anything", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="ambient",
        ),
        pytest.param(
            get("http://of-both-data-planes.test/anything", client=AMBIENT, to=None, arguments=POST),
            ended_by_waypoint(status=403, waypoint=DENIED),
            id="ambient-denied",
        ),
        pytest.param(
            get("http://of-both-data-planes.test/anything", arguments=POST),
            reached(source="client", server_saw={"method": "POST"}),
            id="sidecar-not-denied",
        ),
    ],
)
def test_sidecar_sends_past_waypoint(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
