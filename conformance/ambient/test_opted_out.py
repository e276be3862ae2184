"""A pod with the label istio.io/dataplane-mode: none: nothing of Istio is on its path, so no policy applies."""

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
    reached_directly,
)

OPTED_OUT = "opted-out.egress-ambient"
OWN = "198.51.100.10"
POST = ("--request", "POST")
DENIED = Hop(details="rbac_access_denied_matched_policy[none]")


@documented(
    source="ambient/usage/add-workloads/#ambient-labels",
    summary="A pod that is opted out of ambient mode reaches hosts directly, past the waypoint and its policies",
    requires=["ambient"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/opted-out-direct"],
    independent_of_manifests={
        "opted-out": "nothing applies to this pod",
        "opted-out-address": "nothing applies to this pod",
    },
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://captured.test/anything", client=AMBIENT, to=OWN), reached_by_waypoint(), id="captured"
        ),
        pytest.param(
            get("http://captured.test/anything", client=AMBIENT, to=OWN, arguments=POST),
            ended_by_waypoint(status=403, waypoint=DENIED),
            id="captured-and-denied",
        ),
        pytest.param(
            get("http://captured.test/anything", client=OPTED_OUT, arguments=POST),
            reached_directly(source="client", server_saw={"method": "POST"}),
            id="opted-out",
        ),
        pytest.param(
            get("http://captured.test/anything", client=OPTED_OUT, to=OWN, max_time=3),
            Outcome(exit=frozenset({7, 28}), sidecar=False),
            id="opted-out-address",
        ),
    ],
)
def test_opted_out_pod_bypasses_waypoint(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
