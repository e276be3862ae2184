"""The status of a ServiceEntry tells whether it has its waypoint."""

import pytest

from pytest_istio_egress import Egress, documented

BOUND, MISSING = "istio.io/WaypointBound", "istio.io/WaypointMissing"


@documented(
    source="ambient/usage/troubleshoot-waypoint/",
    summary="Conditions of a ServiceEntry tell whether it is bound to its waypoint, or what is wrong with it",
    requires=["ambient"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/waypoint-bound-condition", "ambient/waypoint-missing-condition"],
)
@pytest.mark.parametrize(
    ("name", "condition", "expected"),
    [
        pytest.param("bound", BOUND, "True: WaypointAccepted", id="bound"),
        pytest.param("unbound", BOUND, "False: WaypointIsNotReady", id="waypoint-that-does-not-exist"),
        pytest.param("without", BOUND, "none", id="without-waypoint"),
        pytest.param("wildcard", MISSING, "True: NoWaypointForWildcardService", id="wildcard-without-waypoint"),
    ],
)
def test_condition_tells_whether_waypoint_is_bound(egress: Egress, name: str, condition: str, expected: str) -> None:
    egress.expect_condition(
        "networking.istio.io/v1", "ServiceEntry", name, condition, expected, namespace="egress-ambient"
    )
