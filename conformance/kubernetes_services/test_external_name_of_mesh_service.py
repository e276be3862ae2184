"""An ExternalName Service for a Service of the mesh: a request for the alias reaches the Service.

curl --Host: alias--> sidecar -> cluster of the Service that it names
curl --Host: led.test--> sidecar or gateway --rule: to the alias--> the same cluster
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, documented, get, outbound, reached, tcp

NAMESPACE = "egress-client.svc.cluster.local"
INSIDE = outbound(f"inside.{NAMESPACE}")
UPGRADE_NOTES = "https://istio.io/latest/news/releases/1.21.x/announcing-1.21/upgrade-notes/"


def inside(cluster: str = INSIDE) -> Outcome:
    return Outcome(status=200, cluster=cluster, flags="-", body="User-Agent")


@documented(
    source=f"{UPGRADE_NOTES}#externalname-support-changes",
    summary="An ExternalName Service for a Service of the mesh is an alias for HTTP, TCP and TLS, with any ports",
    # Since Istio 1.21: before, it was a Service of its own, which needed ports; a VirtualService still needs
    # the port in the destination Service, else 503 (seen with 1.31), though the notes say that
    # ports have no impact.
    outcomes=["external-name/mesh-service-alias"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(f"http://alias.{NAMESPACE}/headers"), inside(), id="http-without-ports"),
        pytest.param(get("http://alias.egress-client/headers"), inside(), id="http-by-short-name"),
        pytest.param(get(f"http://alias-with-port.{NAMESPACE}/headers"), inside(), id="http-with-port"),
        pytest.param(tcp(f"alias.{NAMESPACE}", 9000), inside(outbound(f"inside.{NAMESPACE}", 9000)), id="tcp"),
        pytest.param(
            get(
                "https://behind-alias.test/headers",
                to=None,
                arguments=("--connect-to", f"behind-alias.test:443:alias-tls.{NAMESPACE}:443"),
            ),
            reached(cluster=outbound(f"inside-tls.{NAMESPACE}", 443), server_saw={"server-name": "behind-alias.test"}),
            id="tls",
        ),
        pytest.param(get("http://led-to-alias.test/headers"), inside(), id="by-virtual-service"),
        pytest.param(
            get("http://led-to-portless-alias.test/headers"),
            Outcome(status=503, flags="NC", details="cluster_not_found"),
            id="by-virtual-service-without-ports",
        ),
    ],
)
def test_external_name_of_mesh_service_is_alias(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=f"{UPGRADE_NOTES}#externalname-support-changes",
    summary="A VirtualService at a gateway can route to an ExternalName Service, and so to the Service that it names",
    manifests=["external_name_of_mesh_service.yaml", "external_name_at_gateway.yaml"],
    requires=["egress-gateway"],
    outcomes=["external-name/mesh-service-alias"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://led-by-gateway-to-alias.test/headers"),
            Outcome(
                status=200,
                cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local"),
                gateway=Hop(cluster=INSIDE, status=200),
                body="User-Agent",
            ),
            id="by-gateway",
        ),
    ],
)
def test_gateway_route_to_external_name_reaches_service(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
