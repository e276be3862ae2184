"""The ALPN of the sidecar's TLS depends on the protocol of the entry's port, not on the client's.

curl --HTTP/1.1--> sidecar --TLS, ALPN http/1.1 or h2--> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, over_tls, reached


@documented(
    source="reference/config/networking/destination-rule/#ClientTLSSettings",
    summary="Originated TLS offers http/1.1 for an entry's HTTP port and h2 for an HTTP2 port",
    outcomes=["tls-origination/alpn-by-port-protocol"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://alpn-http.test/headers"),
            reached(server_saw={**over_tls("alpn-http.test"), "alpn": "http/1.1", "protocol": "HTTP/1.1"}),
            id="http",
        ),
        pytest.param(
            get("http://alpn-http2.test/headers"),
            reached(server_saw={**over_tls("alpn-http2.test"), "alpn": "h2", "protocol": "HTTP/2.0"}),
            id="http2",
        ),
    ],
)
def test_originated_tls_offers_protocol_of_port(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
