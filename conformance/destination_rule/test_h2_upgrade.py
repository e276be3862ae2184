"""h2UpgradePolicy of a DestinationRule: HTTP/1.1 from the client leaves the sidecar as HTTP/2, or unchanged.

curl --HTTP/1.1--> sidecar, UPGRADE         --HTTP/2-->   outside:8082, which speaks only that
                   sidecar, UPGRADE         --HTTP/2-->   outside:80, which does not understand it: 502 (UPE)
                   sidecar, DO_NOT_UPGRADE  --HTTP/1.1--> outside:80
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, reached

PROTOCOL_ERROR = "upstream_reset_before_response_started{protocol_error}"


@documented(
    source="reference/config/networking/destination-rule/#ConnectionPoolSettings-HTTPSettings-H2UpgradePolicy",
    summary="With h2UpgradePolicy UPGRADE HTTP/1.1 leaves the sidecar as HTTP/2, with DO_NOT_UPGRADE as HTTP/1.1",
    outcomes=["destination-rule/h2-upgrade"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://upgraded.test:8082/headers"),
            reached(server_saw={"protocol": "HTTP/2.0"}),
            id="upgraded",
        ),
        pytest.param(get("http://not-upgraded.test/headers"), reached(), id="not-upgraded"),
        pytest.param(
            get("http://upgraded.test/headers"),
            Outcome(status=502, cluster=outbound("upgraded.test"), flags="UPE", details=PROTOCOL_ERROR),
            id="upgraded-at-a-host-without-http2",
        ),
    ],
)
def test_policy_decides_protocol_to_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
