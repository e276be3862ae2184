"""captureMode NONE: the client connects to the egress listener itself; no traffic is captured.

curl (to 127.0.0.1:18301) -> sidecar's listener, bound there -> outside
curl (to 192.0.2.81:80) ----------------------------------> second, past the sidecar
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

CLIENT = "uncaptured.egress-client"


@documented(
    source="reference/config/networking/sidecar/#CaptureMode",
    summary="An egress listener with captureMode NONE binds to its address and port, and works without iptables",
    outcomes=["sidecar/capture-mode-none"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://without-capture.test:18301/headers", client=CLIENT, to="127.0.0.1"),
            reached(connected_to="127.0.0.1", server_saw={"port": "8080"}),
            id="listed-at-the-listener",
        ),
        pytest.param(
            get("http://capture-unlisted.test:18301/headers", client=CLIENT, to="127.0.0.1"),
            blocked_http(),
            id="unlisted-at-the-listener",
        ),
        pytest.param(
            get("http://without-capture.test/headers", client=CLIENT, to="192.0.2.81"),
            reached_directly("second", source="client"),
            id="past-the-sidecar",
        ),
    ],
)
def test_listener_with_capture_mode_none_serves_its_address(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
