"""A Service without selector: its cluster IP forwards to the address of an external host.

curl --resolve HOST:443:CLUSTER-IP, its own TLS, certificate checked
  without sidecar  -> cluster IP --kube-proxy--> outside
  with sidecar     -> cluster IP --sidecar: outbound|443||SERVICE--> outside
"""

import pytest

from pytest_istio_egress import PLAIN, Egress, Outcome, documented, get, outbound, reached, reached_directly

PAGE = "tasks/traffic-management/egress/egress-kubernetes-services/#use-a-kubernetes-service-with-endpoints"
URL = "https://wikipedia.test/headers"
SUMMARY = "A Service without selector forwards its cluster IP to external addresses, with the client's TLS unchanged"


def with_sidecar(service: str, address: str) -> Outcome:
    return reached(
        cluster=outbound(f"{service}.egress-client.svc.cluster.local", 443),
        flags="-",
        source="client",
        connected_to=address,
        server_saw={"server-name": "wikipedia.test"},
    )


def without_sidecar(address: str) -> Outcome:
    return reached_directly(source="client", connected_to=address, server_saw={"server-name": "wikipedia.test"})


def cluster_ip(egress: Egress, service: str) -> str:
    return str(egress.resource("v1", "Service", service)["spec"]["clusterIP"])


@documented(
    source=PAGE,
    summary=SUMMARY,
    outcomes=[
        "service-endpoints/cluster-ip",
        "service-endpoints/without-sidecar-tls",
        "service-endpoints/with-sidecar-tls",
        "service-endpoints/connected-to-cluster-ip",
        "service-endpoints/tls-at-cluster-ip",
    ],
)
@pytest.mark.parametrize("client", ["with-sidecar", "without-sidecar"])
def test_service_with_endpoints_reaches_host(egress: Egress, client: str) -> None:
    address = cluster_ip(egress, "my-wikipedia")
    if client == "with-sidecar":
        egress.expect(get(URL, to=address), with_sidecar("my-wikipedia", address))
    else:
        egress.expect(get(URL, to=address, client=PLAIN), without_sidecar(address))


def wraps_in_mutual_tls(egress: Egress) -> bool:
    """Whether the Service's cluster has Istio's mutual TLS among its transports."""
    cluster = egress.config().cluster(egress.in_cluster(outbound("my-wikipedia.egress-client.svc.cluster.local", 443)))
    assert cluster
    return "tlsMode-istio" in [match["name"] for match in cluster.raw.get("transport_socket_matches", [])]


@documented(
    source=PAGE,
    summary="With TLS mode DISABLE in a DestinationRule the client's own TLS is unchanged, not wrapped in mutual TLS",
    manifests=["endpoints.yaml", "endpoints_tls_disable.yaml"],
    # Since Istio 1.5: mutual TLS is automatic (unless meshConfig.enableAutoMtls is false), and only towards endpoints
    # with a proxy, so TLS passes without the rule too.
    outcomes=["service-endpoints/tls-disable-client-tls-unchanged"],
)
def test_client_tls_with_mode_disable_unchanged(egress: Egress) -> None:
    address = cluster_ip(egress, "my-wikipedia")
    egress.expect(get(URL, to=address), with_sidecar("my-wikipedia", address))
    egress.check("mutual TLS among the transports with mode DISABLE", wraps_in_mutual_tls(egress), expected=False)
    egress.remove("endpoints_tls_disable.yaml")
    egress.expect(get(URL, to=address), with_sidecar("my-wikipedia", address))


@documented(
    source="https://kubernetes.io/docs/concepts/services-networking/service/#services-without-selectors",
    summary=SUMMARY,
    manifests=["endpoint_slice.yaml"],
    # Since Kubernetes 1.33: Endpoints are deprecated in favour of EndpointSlices.
    outcomes=["service-endpoints/endpoint-slice-same", "service-endpoints/tls-at-cluster-ip"],
)
@pytest.mark.parametrize("client", ["with-sidecar", "without-sidecar"])
def test_service_with_endpoint_slice_reaches_host(egress: Egress, client: str) -> None:
    address = cluster_ip(egress, "my-slice")
    if client == "with-sidecar":
        egress.expect(get(URL, to=address), with_sidecar("my-slice", address))
    else:
        egress.expect(get(URL, to=address, client=PLAIN), without_sidecar(address))
