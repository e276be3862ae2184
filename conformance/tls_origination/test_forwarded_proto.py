"""x-forwarded-proto behind originated TLS is the protocol that the client spoke, unless a rule sets it.

curl --HTTP--> sidecar --TLS--> outside, x-forwarded-proto: http
               sidecar, rule: set https --TLS--> outside, x-forwarded-proto: https
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, over_tls, reached


def over_originated_tls(route: str, protocol: str) -> Outcome:
    return reached(
        cluster=outbound("forwarded-proto.test", 443),
        route=route,
        request_headers={"x-forwarded-proto": protocol},
        server_saw=over_tls("forwarded-proto.test"),
    )


@documented(
    source="https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/headers#x-forwarded-proto",
    summary="Behind TLS that the sidecar originates, x-forwarded-proto is http, or what a rule sets",
    outcomes=["tls-origination/forwarded-proto"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://forwarded-proto.test/anything"), over_originated_tls("default", "http"), id="of-the-client"
        ),
        pytest.param(
            get("http://forwarded-proto.test/anything/https"),
            over_originated_tls("says-https", "https"),
            id="set-by-a-rule",
        ),
    ],
)
def test_forwarded_proto_is_protocol_of_client(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
