"""A VirtualService routes a host without a ServiceEntry to a listed one: it applies on port 80 only.

curl led-without-entry.test :80   -> led-there.test
                            :8081 -> block_all, though the port has a listener
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, outbound, reached


@documented(
    source="reference/config/networking/virtual-service/",
    summary="A VirtualService for a host without a ServiceEntry becomes a route on port 80 only",
    outcomes=["virtual-service/without-entry-port-80-only"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://led-without-entry.test/headers"),
            reached(cluster=outbound("led-there.test")),
            id="port-80",
        ),
        pytest.param(
            get("http://led-there.test:8081/headers"),
            reached(),
            id="control-listed-on-another-port",
        ),
        pytest.param(get("http://led-without-entry.test:8081/headers"), blocked_http(), id="another-port"),
    ],
)
def test_virtual_service_without_entry_routes_port_80_only(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
