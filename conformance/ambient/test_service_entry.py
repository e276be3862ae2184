"""An entry without a waypoint: ztunnel forwards its connections by itself, whatever their protocol.

curl --DNS: by-ztunnel?--> ztunnel: 240.240.x.y
     --TCP 240.240.x.y-->  ztunnel: the entry of that address -> outside
"""

import pytest

from pytest_istio_egress import AMBIENT, Egress, Outcome, Probe, documented, get, reached_by_ztunnel


@documented(
    source="ambient/architecture/data-plane/#outbound",
    summary="Without a waypoint ztunnel forwards the connections to a ServiceEntry, with the client's own address",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/entry-without-waypoint-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://by-ztunnel.test/headers", client=AMBIENT, to=None),
            reached_by_ztunnel(),
            id="http",
        ),
        pytest.param(get("https://by-ztunnel.test/headers", client=AMBIENT, to=None), reached_by_ztunnel(), id="tls"),
        pytest.param(
            get("http://by-ztunnel.test:9000/headers", client=AMBIENT, to=None), reached_by_ztunnel(), id="tcp"
        ),
        pytest.param(
            get("http://by-ztunnel-second.test/headers", client=AMBIENT, to=None),
            reached_by_ztunnel("second"),
            id="another-host",
        ),
    ],
)
def test_entry_without_waypoint_is_reached_by_ztunnel(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
