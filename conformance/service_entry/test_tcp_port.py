"""A TCP ServiceEntry without addresses receives every connection on its port.

curl https://elsewhere.test -> sidecar 0.0.0.0_443 -> second, whose certificate is for another host"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, reached

CLUSTER = outbound("second.test", 443)


@documented(
    source="ops/configuration/traffic-management/protocol-selection/",
    summary="A TCP ServiceEntry without addresses sends every connection on its port to its host",
    # Documents before 1.5 show this for protocol HTTPS, which today is matched by server name.
    outcomes=[
        "service-entry/https-other-host-certificate",
        "service-entry/https-bare-address-certificate",
        "service-entry/resolution-dns-endpoints",
        "service-entry/strict-dns-wrong-host-certificate",
        "service-entry/tcp-without-addresses-takes-port",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://second.test/headers"),
            reached("second"),
            id="control-listed",
        ),
        pytest.param(
            get("https://elsewhere.test/headers"),
            Outcome(exit=60, cluster=CLUSTER),
            id="another-host-meets-the-wrong-certificate",
        ),
        pytest.param(
            get("https://192.0.2.80/headers"),
            Outcome(exit=60, cluster=CLUSTER),
            id="bare-address-meets-the-wrong-certificate",
        ),
    ],
)
def test_connection_to_tcp_port_ends_at_entry_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
