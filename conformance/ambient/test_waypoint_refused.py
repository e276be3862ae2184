"""A waypoint that is not for a ServiceEntry, whatever its label says: ztunnel forwards connections past it.

curl -> ztunnel -> outside    the waypoint allows its own namespace only, or is for workloads only
"""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Outcome,
    Probe,
    documented,
    get,
    reached_by_waypoint,
    reached_by_ztunnel,
)

BOUND = "istio.io/WaypointBound"


@documented(
    source="ambient/usage/waypoint/#usewaypointnamespace",
    summary="An entry bypasses the waypoint of its label if that is for its own namespace or for workloads only",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/waypoint-of-its-namespace-only", "ambient/waypoint-for-workloads"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://of-this-namespace.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="of-this-namespace",
        ),
        pytest.param(
            get("http://of-another-namespace.test/headers", client=AMBIENT, to=None),
            reached_by_ztunnel(),
            id="of-another-namespace",
        ),
        pytest.param(
            get("http://of-other-traffic.test/headers", client=AMBIENT, to=None),
            reached_by_ztunnel(),
            id="for-workloads",
        ),
    ],
)
def test_entry_bypasses_waypoint_that_is_not_for_it(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="ambient/usage/troubleshoot-waypoint/",
    summary="The condition of a ServiceEntry says that the waypoint of its label does not accept it",
    manifests=["waypoint_refused.yaml"],
    requires=["ambient", "exported-entries"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/waypoint-refused-condition"],
)
@pytest.mark.parametrize(
    ("name", "namespace", "expected"),
    [
        pytest.param("of-another-namespace", "egress-client", "False: AttachmentDenied", id="of-another-namespace"),
        pytest.param("of-other-traffic", "egress-ambient", "False: UnsupportedTrafficType", id="for-workloads"),
        pytest.param("of-this-namespace", "egress-ambient", "True: WaypointAccepted", id="of-this-namespace"),
    ],
)
def test_condition_tells_why_waypoint_is_refused(egress: Egress, name: str, namespace: str, expected: str) -> None:
    egress.expect_condition("networking.istio.io/v1", "ServiceEntry", name, BOUND, expected, namespace=namespace)
