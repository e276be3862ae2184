"""The client's TLS reaches the gateway inside Istio's mutual TLS, which the gateway terminates.

curl --TLS--> sidecar --TLS in mutual TLS--> istio-egressgateway:443 (ISTIO_MUTUAL) --TLS--> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_tls, documented, get, outbound, reached

THROUGH_THE_GATEWAY = reached(
    cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local", 443, subset="mutual-tcp"),
    gateway=Hop(cluster=outbound("mutual-tcp.test", 443), server_name="mutual-tcp.test"),
    source="gateway",
    server_saw={"server-name": "mutual-tcp.test"},
)


@documented(
    source="reference/config/networking/gateway/#ServerTLSSettings-TLSmode",
    summary="A Gateway server with mode ISTIO_MUTUAL terminates mutual TLS and forwards the payload as TCP",
    requires=["egress-gateway"],
    outcomes=["egress-gateway/tls-inside-istio-mutual"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://mutual-tcp.test/headers"),
            THROUGH_THE_GATEWAY,
            id="through-the-gateway",
        ),
        pytest.param(
            get("https://not-mutual-tcp.test/headers"),
            blocked_tls(),
            id="an-unknown-server-name",
        ),
    ],
)
def test_client_tls_inside_mutual_tls_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/gateway/#ServerTLSSettings-TLSmode",
    summary="Between sidecar and gateway the client's TLS is carried inside Istio's mutual TLS",
    manifests=["istio_mutual_tcp.yaml"],
    requires=["egress-gateway"],
    outcomes=["egress-gateway/tls-inside-istio-mutual"],
)
def test_hop_to_gateway_uses_mutual_tls(egress: Egress) -> None:
    name = outbound("istio-egressgateway.istio-system.svc.cluster.local", 443, subset="mutual-tcp")
    cluster = egress.config().cluster(egress.in_cluster(name))
    egress.check(
        "presence of a SPIFFE identity in the cluster of the gateway", "spiffe://" in str(cluster), expected=True
    )


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-http-traffic",
    summary="The certificate that the egress gateway presents inside the mesh names its service account",
    # Without a server of mode ISTIO_MUTUAL and without automatic mutual TLS a gateway requests no certificate.
    manifests=["istio_mutual_tcp.yaml"],
    requires=["egress-gateway"],
    outcomes=["egress-gateway/certificate-names-service-account"],
)
def test_gateway_certificate_names_service_account(egress: Egress) -> None:
    egress.expect(get("https://mutual-tcp.test/headers"), THROUGH_THE_GATEWAY)
    gateway = egress.gateway_config()
    pod = egress.resource("v1", "Pod", gateway.pod.name, gateway.pod.namespace)
    account = f"/ns/{gateway.pod.namespace}/sa/{pod['spec']['serviceAccountName']}"
    certificates = gateway.text("/certs")
    egress.check(f"presence of {account} in the gateway's certificate", f'{account}"' in certificates, expected=True)
