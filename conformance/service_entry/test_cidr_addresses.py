"""A TCP entry for two CIDR ranges: connections to an address in either pass, the rest is dropped.

curl -> 192.0.2.80:9000, 192.0.2.81:9000 -> sidecar, by address -> ORIGINAL_DST -> the same address
        192.0.2.180:9000                 -> BlackHoleCluster
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_tcp, documented, outbound, reached, tcp

CLUSTER = outbound("ranges.test", 9000)


@documented(
    source="reference/config/networking/service-entry/",
    summary="A TCP ServiceEntry with resolution NONE allows connections to any address in its CIDR ranges",
    outcomes=["service-entry/cidr-second-range-reached"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(tcp("192.0.2.80", 9000), reached(cluster=CLUSTER), id="in-the-first"),
        pytest.param(tcp("192.0.2.81", 9000), reached("second", cluster=CLUSTER), id="in-the-second"),
        pytest.param(tcp("192.0.2.180", 9000), blocked_tcp(), id="outside-both"),
    ],
)
def test_address_in_cidr_reached(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
