"""A server that speaks first: its port must be declared as TCP, else the sidecar waits for the client's first bytes.

curl waits for a greeting -> sidecar, port without a protocol: waits for the client, and connects to nobody
                             sidecar, port declared as TCP     -> server: 220
     speaks first         -> sidecar, port without a protocol  -> server: 220
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, answered, documented, tcp

UNDECLARED, DECLARED = "198.51.100.25", "198.51.100.26"
GREETING = "220 the server speaks first"


@documented(
    source="ops/deployment/application-requirements/#server-first-protocols",
    summary="A port with a server-first protocol works only if it is declared as TCP",
    fixtures=["forward_proxy.yaml"],
    requires=["protocol-detection"],
    outcomes=["service-entry/server-first-hangs", "service-entry/server-first-tcp"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            tcp("declared-as-tcp.test", 2525, to=DECLARED, receive=GREETING),
            answered(status=None),
            id="declared-as-tcp",
        ),
        pytest.param(
            tcp("undeclared.test", 2525, to=UNDECLARED, send="EHLO client", receive=GREETING),
            answered(status=None),
            id="the-client-speaks-first",
        ),
        # Envoy writes a line once a connection has a filter chain: this one never gets so far.
        pytest.param(
            tcp("undeclared.test", 2525, to=UNDECLARED, receive=GREETING),
            Outcome(exit=28, sidecar=False),
            id="protocol-not-declared",
        ),
    ],
)
def test_server_first_port_declared_as_tcp(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
