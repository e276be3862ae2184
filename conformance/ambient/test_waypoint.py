"""Which waypoint a ServiceEntry has: that of its namespace's label, unless it has a label of its own.

curl --> ztunnel --HBONE--> waypoint --> outside
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


@documented(
    source="ambient/usage/waypoint/#useawaypoint",
    summary="istio.io/use-waypoint on the namespace or the ServiceEntry sends its requests through the waypoint",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/waypoint-by-namespace", "ambient/waypoint-by-entry", "ambient/waypoint-none"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://by-namespace.test/headers", client=AMBIENT, to=None), reached_by_waypoint(), id="by-namespace"
        ),
        pytest.param(
            get("http://by-label.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="by-the-entrys-label",
        ),
        pytest.param(
            get("http://no-waypoint.test/headers", client=AMBIENT, to=None), reached_by_ztunnel(), id="label-none"
        ),
        pytest.param(
            get("https://by-namespace.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="tls-passes-through-the-waypoint",
        ),
    ],
)
def test_label_selects_waypoint_of_entry(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
