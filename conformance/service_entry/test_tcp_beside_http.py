"""A TCP entry on the port of an HTTP entry: HTTP is routed by its Host header, other bytes go to the TCP entry.

curl --HTTP, with-http.test-->                sidecar: by Host -> outside
     --HTTP, tcp-without-address.test-->      sidecar: block_all, no HTTP entry has this host
     --other bytes, whatever the host-->      sidecar: the TCP entry without an address -> second
     --HTTP, to the address of a TCP entry--> sidecar: that TCP entry -> second
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, answered, blocked_http, documented, get, outbound, reached, tcp

BYTES = "not HTTP"


@documented(
    source="ops/configuration/traffic-management/traffic-routing/",
    summary="On a port with an HTTP entry, HTTP is routed by its Host header, the rest goes to a TCP entry",
    outcomes=["service-entry/tcp-beside-http", "service-entry/tcp-with-address"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://with-http.test:8081/headers"), reached(), id="http-to-the-http-entry"),
        pytest.param(get("http://tcp-without-address.test:8081/headers"), blocked_http(), id="http-to-the-tcp-entry"),
        pytest.param(
            tcp("with-http.test", 8081, send=BYTES, receive="400 Bad Request"),
            answered(status=None, cluster=outbound("tcp-without-address.test", 8081)),
            id="other-bytes",
        ),
        pytest.param(
            get("http://tcp-with-address.test:8081/headers", to="198.51.100.8"),
            reached("second"),
            id="http-to-the-address-of-a-tcp-entry",
        ),
    ],
)
def test_http_and_tcp_share_port(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
