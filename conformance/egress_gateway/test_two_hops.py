"""One VirtualService routes a host's traffic over both hops; the external host sees one stable source address.

curl -> sidecar --HTTP/2, mutual TLS--> a subset of istio-egressgateway:80 -> outside
        line 1                          line 2                                sees the gateway's address
"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Hop, Outcome, Probe, documented, get, outbound, reached

SUBSET = outbound("istio-egressgateway.istio-system.svc.cluster.local", subset="two-hops")


@documented(
    source="https://youtu.be/hjTLSaK4PH8",
    summary="With a ServiceEntry, a Gateway, a subset and a VirtualService for both hops, the external host sees the "
    "gateway as the source",
    requires=["egress-gateway"],
    outcomes=[
        "egress-gateway/source-address",
        "service-entry/resolution-static-endpoints",
        "egress-gateway/other-host-404",
        "egress-gateway/subset-cluster",
        "egress-gateway/sidecar-to-gateway",
        "egress-gateway/gateway-to-host",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://two-hops.test/headers"),
            reached(
                cluster=SUBSET,
                gateway=Hop(cluster=outbound("two-hops.test"), status=200),
                source="gateway",
                server_saw={"protocol": "HTTP/1.1"},
            ),
            id="over-both-hops",
        ),
        # The entry's endpoints are the destination, whatever address the client connects to.
        pytest.param(
            get("http://two-hops.test/headers", to="192.0.2.81"),
            reached(cluster=SUBSET, gateway=Hop(cluster=outbound("two-hops.test")), source="gateway"),
            id="to-the-entrys-endpoints",
        ),
        # No rule routes port 443 to the gateway.
        pytest.param(
            get("https://two-hops.test/headers"),
            reached(source="client"),
            id="another-port-goes-straight",
        ),
        pytest.param(
            get("http://two-hops-not-accepted.test/headers"),
            Outcome(
                status=404,
                cluster=SUBSET,
                details="via_upstream",
                gateway=Hop(status=404, flags="NR", details="route_not_found"),
            ),
            id="a-host-that-the-gateway-does-not-accept",
        ),
    ],
)
def test_http_over_two_hops_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="ops/configuration/traffic-management/protocol-selection/",
    summary="A sidecar uses HTTP/2 to a gateway whose port is one for HTTP/2, and the gateway HTTP/1.1 to the host",
    manifests=["two_hops.yaml"],
    requires=["egress-gateway", "gateway-http2"],
    outcomes=["egress-gateway/http-over-two-hops"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://two-hops.test/headers"),
            reached(
                cluster=SUBSET,
                gateway=Hop(cluster=outbound("two-hops.test"), status=200, protocol="HTTP/2"),
                server_saw={"protocol": "HTTP/1.1"},
            ),
            id="over-both-hops",
        ),
    ],
)
def test_hop_to_gateway_uses_http2(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#egress-gateway-for-http-traffic",
    summary="A subset of the gateway's Service becomes a cluster where the DestinationRule is exported to",
    manifests=["two_hops.yaml"],
    requires=["egress-gateway"],
    fixtures=["neighbour_client.yaml"],
    outcomes=["egress-gateway/subset-cluster"],
)
def test_gateway_subset_becomes_cluster(egress: Egress) -> None:
    cluster = egress.config().cluster(egress.in_cluster(SUBSET))
    egress.check("presence of the subset's cluster in the client's proxy", cluster is not None, expected=True)
    cluster = egress.config(NEIGHBOUR).cluster(egress.in_cluster(SUBSET))
    egress.check("presence of the subset's cluster in the neighbour's proxy", cluster is not None, expected=False)
