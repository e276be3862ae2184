"""A TCP ServiceEntry with resolution NONE opens its port for all addresses.

curl https://second.test (to 192.0.2.81) -> sidecar 0.0.0.0_443 -> ORIGINAL_DST -> 192.0.2.81"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_tcp, documented, get, outbound, reached

CLUSTER = outbound("any-443.test", 443)


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-Resolution",
    summary="With resolution NONE a TCP ServiceEntry without addresses allows connections to any address on its port",
    # Documents before 1.5 show this for protocol HTTPS, which today is matched by server name.
    outcomes=["service-entry/resolution-none-other-hosts"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("https://any-443.test/headers"), reached(), id="listed"),
        pytest.param(
            get("https://second.test/headers", to="192.0.2.81"),
            reached("second", cluster=CLUSTER),
            id="another-host",
        ),
        pytest.param(get("http://any-443.test:9000/headers"), blocked_tcp(), id="another-port"),
    ],
)
def test_connection_with_resolution_none_keeps_address(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
