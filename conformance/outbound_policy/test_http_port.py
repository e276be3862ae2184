"""REGISTRY_ONLY on the port of an HTTP ServiceEntry: only HTTP gets the 502 of block_all.

                     :9000 (HTTP entry of another host)         :8081 (nothing listed)
HTTP                 block_all (502)                            BlackHoleCluster
TLS, other bytes     no filter chain -> BlackHoleCluster        BlackHoleCluster
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, blocked_tcp, blocked_tls, documented, get, reached
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS_OF_BYTES

DROPPED = blocked_tls()
DROPPED_BYTES = blocked_tcp(BLACKHOLE_EXITS_OF_BYTES)


@documented(
    source="ops/configuration/traffic-management/traffic-routing/",
    summary="With REGISTRY_ONLY, unlisted TLS and TCP end in BlackHoleCluster, even on the port of an HTTP entry",
    outcomes=["outbound-policy/unlisted-tls-on-http-port-black-hole", "outbound-policy/unlisted-tcp-black-hole"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://http-on-9000.test:9000/headers"),
            reached(),
            id="control-listed",
        ),
        pytest.param(get("http://not-on-9000.test:9000/headers"), blocked_http(), id="http-on-the-entrys-port"),
        pytest.param(get("https://not-on-9000.test:9000/headers"), DROPPED, id="tls-on-the-entrys-port"),
        pytest.param(get("gopher://not-on-9000.test:9000/_bytes"), DROPPED_BYTES, id="tcp-on-the-entrys-port"),
        pytest.param(get("https://not-on-9000.test:8081/headers"), DROPPED, id="tls-on-an-unlisted-port"),
        pytest.param(get("gopher://not-on-9000.test:8081/_bytes"), DROPPED_BYTES, id="tcp-on-an-unlisted-port"),
    ],
)
def test_unlisted_host_on_http_port_blocked(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
