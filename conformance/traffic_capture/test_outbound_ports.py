"""includeOutboundPorts: traffic to these ports passes the sidecar, even to an address outside all IP ranges.

curl (to :80)   -> sidecar -> outside
curl (to :9000) ------------> outside, without Envoy
"""

import pytest

from pytest_istio_egress import (
    Egress,
    Outcome,
    Probe,
    blocked_http,
    documented,
    get,
    reached,
    reached_directly,
)

CLIENT = "ports.egress-client"


@documented(
    source="reference/config/annotations/#SidecarTrafficIncludeOutboundPorts",
    summary="Traffic to a port in includeOutboundPorts passes the sidecar, even to an address outside the IP ranges",
    outcomes=["traffic-capture/listed-port-passes-sidecar"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://by-port.test/headers", client=CLIENT),
            reached(),
            id="a-port-of-the-list",
        ),
        pytest.param(
            get("http://unlisted-by-port.test/headers", client=CLIENT), blocked_http(), id="a-port-of-the-list-unlisted"
        ),
        pytest.param(
            get("http://by-port.test:9000/headers", client=CLIENT),
            reached_directly(source="client"),
            id="another-port",
        ),
    ],
)
def test_listed_port_passes_sidecar(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
