"""excludeOutboundIPRanges and excludeOutboundPorts: this traffic bypasses the sidecar, all the rest passes it.

curl (to 192.0.2.80:80)   -> sidecar -> 192.0.2.80, or block_all
     (to 192.0.2.81)      ------------> 192.0.2.81, without Envoy
     (to 192.0.2.80:9000) ------------> 192.0.2.80, without Envoy
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, reached, reached_directly

CLIENT = "excluding.egress-client"
WITHOUT_ENVOY = {"x-envoy-decorator-operation": None, "x-envoy-attempt-count": None, "x-request-id": None}


@documented(
    source="reference/config/annotations/#SidecarTrafficExcludeOutboundIPRanges",
    summary="Traffic to excludeOutboundIPRanges and excludeOutboundPorts bypasses the sidecar, with any host",
    outcomes=["traffic-capture/excluded-ranges", "traffic-capture/excluded-ports"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://not-excluded.test/headers", client=CLIENT), reached(), id="neither"),
        pytest.param(
            get("http://unlisted-excluded.test/headers", client=CLIENT), blocked_http(), id="neither-unlisted"
        ),
        pytest.param(
            get("http://unlisted-excluded.test/headers", client=CLIENT, to="192.0.2.81"),
            reached_directly("second", source="client", request_headers=WITHOUT_ENVOY),
            id="excluded-range",
        ),
        pytest.param(
            get("http://unlisted-excluded.test:9000/headers", client=CLIENT),
            reached_directly(source="client", request_headers=WITHOUT_ENVOY),
            id="excluded-port",
        ),
        # The same host and address without the annotations.
        pytest.param(get("http://not-excluded.test/headers"), reached(), id="control-client-without-annotations"),
        pytest.param(
            get("http://unlisted-excluded.test/headers", to="192.0.2.81"),
            blocked_http(),
            id="client-without-annotations",
        ),
    ],
)
def test_excluded_traffic_bypasses_sidecar(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
