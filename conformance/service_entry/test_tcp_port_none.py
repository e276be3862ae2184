"""A TCP ServiceEntry with resolution NONE opens its port for every address.

curl https://second.test (to 192.0.2.81) -> sidecar 0.0.0.0_443 -> ORIGINAL_DST -> 192.0.2.81"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blackholed, documented, get, tls

CLUSTER = "outbound|443||any-443.test"


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-Resolution",
    summary="With resolution NONE a TCP entry without addresses lets out connections to any address on its port",
    # Documents before 1.5 show this for protocol HTTPS, which today is told apart by server name.
    outcomes=["serviceentry/none-other-hosts"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            tls("https://any-443.test/headers"), Outcome(status=200, reached="outside", cluster=CLUSTER), id="listed"
        ),
        pytest.param(
            tls("https://second.test/headers", to="192.0.2.81"),
            Outcome(status=200, reached="second", cluster=CLUSTER),
            id="another-host",
        ),
        pytest.param(get("http://any-443.test:9000/headers"), blackholed(), id="another-port"),
    ],
)
def test_tcp_port_none(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
