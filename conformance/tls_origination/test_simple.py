"""The sidecar originates TLS for the client's plain HTTP.

curl --HTTP--> sidecar --TLS, checks the certificate--> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, over_tls, reached


@documented(
    source="tasks/traffic-management/egress/egress-tls-origination/#tls-origination-for-egress-traffic",
    summary="With targetPort 443 and TLS mode SIMPLE the sidecar originates TLS for plain HTTP and verifies the host",
    # Since Istio 1.21: the host's certificate is checked, so an authority that signed it has to be named.
    outcomes=["tls-origination/simple-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://simple.test/headers"),
            reached(
                source="client",
                server_saw=over_tls("simple.test"),
            ),
            id="the-right-authority",
        ),
        pytest.param(
            get("http://simple-wrong-authority.test/headers"),
            Outcome(
                status=503,
                cluster=outbound("simple-wrong-authority.test"),
                failure="CERTIFICATE_VERIFY_FAILED",
            ),
            id="an-authority-that-did-not-sign-it",
        ),
    ],
)
def test_simple_tls_verifies_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
