"""The egress gateway originates TLS for plain HTTP, and verifies the external host with a Secret.

curl --HTTP--> sidecar --> exit: credentialName, a Secret of the gateway's namespace --TLS--> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, documented, get, outbound, over_tls, reached

PAGE = "tasks/traffic-management/egress/egress-gateway-tls-origination/"
HOST = "http://gateway-originates.test/anything"
TO_THE_GATEWAY = outbound("exit.egress-gateway.svc.cluster.local")
GATEWAY = "exit.egress-gateway"
WITHOUT_SECRET = frozenset({"NC", "UF", "UF,URX", "URX,UF"})
"""For 15 s Envoy holds back a cluster that waits for its Secret (NC); then the cluster takes over without it, and each
connection fails (UF; also URX after retries)."""


def verified(port: int) -> Outcome:
    return reached(
        cluster=TO_THE_GATEWAY,
        gateway=Hop(at=GATEWAY, cluster=outbound("gateway-originates.test", port), status=200),
        source="gateway",
        server_saw=over_tls("gateway-originates.test"),
    )


def not_verified(port: int, why: str) -> Outcome:
    # Envoy before 1.38.1 adds the transport failure reason to the body; the gateway's access log always has it.
    return Outcome(
        status=503,
        cluster=TO_THE_GATEWAY,
        gateway=Hop(at=GATEWAY, cluster=outbound("gateway-originates.test", port), status=503, failure=why),
        body="remote connection failure",
    )


@documented(
    source=PAGE,
    summary="The gateway originates SIMPLE TLS: 200 with the right CA certificate, 503 with a wrong or missing one",
    fixtures=["gateway.yaml"],
    outcomes=["tls-origination/gateway-simple-200-or-503"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(f"{HOST}/right"), verified(8001), id="right-authority"),
        pytest.param(get(f"{HOST}/wrong"), not_verified(8002, "CERTIFICATE_VERIFY_FAILED"), id="another-authority"),
        pytest.param(
            get(f"{HOST}/missing"),
            Outcome(status=503, cluster=TO_THE_GATEWAY, gateway=Hop(at=GATEWAY, flags=WITHOUT_SECRET, status=503)),
            id="missing-secret",
        ),
    ],
)
def test_simple_tls_at_gateway_verifies_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/destination-rule/#ClientTLSSettings",
    summary="A certificate revoked by the Secret's CRL is rejected with 503; another certificate's CRL has no effect",
    manifests=["simple_at_gateway.yaml"],
    fixtures=["gateway.yaml"],
    outcomes=["tls-origination/revoked-certificate-503"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(f"{HOST}/unrelated"), verified(8005), id="unrelated"),
        pytest.param(get(f"{HOST}/revoked"), not_verified(8004, "CERTIFICATE_VERIFY_FAILED"), id="revoked"),
    ],
)
def test_revoked_certificate_at_gateway_gets_503(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
