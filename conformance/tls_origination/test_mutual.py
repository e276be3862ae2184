"""The sidecar shows the outside host a client certificate from a Secret.

curl --HTTP--> sidecar --mutual TLS--> outside:444, demands a certificate
                 ^ SDS
               istiod <- Secret
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get


@documented(
    at="tasks/traffic-management/egress/egress-tls-origination/#mutual-tls-origination-for-egress-traffic",
    says="A sidecar originates mutual TLS with a Secret of its namespace that it may read",
    rows=["C2"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://mutual.test/headers"),
            Outcome(
                status=200,
                reached="outside",
                cluster="outbound|80||mutual.test",
                far_end={"port": "8444", "client-certificate": "CN=client"},
            ),
            id="a-certificate-that-the-host-trusts",
        ),
        pytest.param(
            get("http://mutual-wrong-client.test/headers"),
            Outcome(
                status=400,
                reached="outside",
                cluster="outbound|80||mutual-wrong-client.test",
                details="via_upstream",
                body="The SSL certificate error",
            ),
            id="a-certificate-that-it-does-not-trust",
        ),
        pytest.param(
            get("http://mutual-without.test/headers"),
            Outcome(
                status=400,
                reached="outside",
                cluster="outbound|80||mutual-without.test",
                details="via_upstream",
                body="No required SSL certificate was sent",
            ),
            id="no-certificate",
        ),
        pytest.param(
            get("http://mutual-missing.test/headers"),
            # For 15 s Envoy keeps the cluster back (NC), then it has one without a secret (UF): 503 both times.
            Outcome(status=503, route="default"),
            id="no-such-secret",
        ),
    ],
)
def test_mutual(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
