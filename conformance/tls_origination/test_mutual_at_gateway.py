"""The egress gateway presents its own client certificate to the external host.

curl --HTTP--> sidecar --> exit: credentialName, a Secret of the gateway's namespace --mutual TLS--> outside:444
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, documented, get, outbound, over_tls, reached

HOST = "http://gateway-mutual.test/anything"
TO_THE_GATEWAY = outbound("exit.egress-gateway.svc.cluster.local")
GATEWAY = "exit.egress-gateway"
WITHOUT_SECRET = frozenset({"NC", "UF", "UF,URX", "URX,UF"})
"""For 15 s Envoy holds back a cluster that waits for its Secret (NC); then the cluster takes over without it, and each
connection fails (UF; also URX after retries)."""


def refused_by_the_host(port: int, why: str) -> Outcome:
    return reached(
        status=400,
        cluster=TO_THE_GATEWAY,
        gateway=Hop(at=GATEWAY, cluster=outbound("gateway-mutual.test", port), status=400, details="via_upstream"),
        body=why,
        server_saw=over_tls("gateway-mutual.test", 444),
    )


@documented(
    source="tasks/traffic-management/egress/egress-gateway-tls-origination/#perform-mutual-tls-origination-with-an-egress-gateway",
    summary="The gateway originates mutual TLS and presents its client certificate to the external host",
    fixtures=["gateway.yaml"],
    # By Istio 1.31: what the host itself answers to a bad certificate or none arrives as it is (400).
    outcomes=["tls-origination/gateway-mutual-200-or-503"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get(f"{HOST}/right"),
            reached(
                cluster=TO_THE_GATEWAY,
                gateway=Hop(at=GATEWAY, cluster=outbound("gateway-mutual.test", 8001), status=200),
                source="gateway",
                server_saw={**over_tls("gateway-mutual.test", 444), "client-certificate": "CN=client"},
            ),
            id="right-certificate",
        ),
        pytest.param(
            get(f"{HOST}/wrong"), refused_by_the_host(8002, "The SSL certificate error"), id="of-another-authority"
        ),
        pytest.param(
            get(f"{HOST}/none"), refused_by_the_host(8004, "No required SSL certificate was sent"), id="no-certificate"
        ),
        pytest.param(
            get(f"{HOST}/missing"),
            Outcome(status=503, cluster=TO_THE_GATEWAY, gateway=Hop(at=GATEWAY, flags=WITHOUT_SECRET, status=503)),
            id="missing-secret",
        ),
    ],
)
def test_mutual_tls_at_gateway_presents_client_certificate(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
