"""An HTTP ServiceEntry without resolution (NONE).

curl (to 192.0.2.80) -> sidecar: virtual host none.test:80 -> cluster ORIGINAL_DST -> 192.0.2.80"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, outbound, reached

AT = "reference/config/networking/service-entry/#ServiceEntry-Resolution"
CLUSTER = outbound("none.test")


@documented(
    source=AT,
    summary="With an HTTP ServiceEntry without resolution, requests for its host go to the address that the client "
    "connects to",
    outcomes=["service-entry/http-without-resolution-reached", "service-entry/resolution-default-none"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://none.test/headers"), reached(), id="one-address"),
        pytest.param(
            get("http://none.test/headers", to="192.0.2.81"),
            reached("second"),
            id="another-address",
        ),
        pytest.param(get("http://not-none.test/headers"), blocked_http(), id="another-host"),
    ],
)
def test_request_with_resolution_none_keeps_address(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=AT,
    summary="A ServiceEntry with resolution NONE becomes a cluster ORIGINAL_DST with load balancing CLUSTER_PROVIDED",
    manifests=["resolution_none.yaml"],
    # The policy was called ORIGINAL_DST_LB until Envoy dropped that name; the connect timeout is the mesh's, as in
    # PassthroughCluster: 1 s once, 10 s today unless meshConfig.connectTimeout says otherwise.
    outcomes=[
        "service-entry/resolution-none-original-dst",
        "service-entry/resolution-none-load-balancing",
        "service-entry/connect-timeout",
    ],
)
def test_resolution_none_becomes_original_dst(egress: Egress) -> None:
    cluster = egress.config().cluster(egress.in_cluster(CLUSTER))
    egress.check("cluster's type", cluster and cluster.type, "ORIGINAL_DST")
    egress.check("cluster's load balancing", cluster and cluster.load_balancing, "CLUSTER_PROVIDED")
    passthrough = egress.config().cluster("PassthroughCluster")
    of_mesh = passthrough.raw["connect_timeout"] if passthrough else "that of PassthroughCluster"
    egress.check("cluster's connect timeout", cluster and cluster.raw.get("connect_timeout"), of_mesh)


@documented(
    source="ops/diagnostic-tools/proxy-cmd/#deep-dive-into-envoy-configuration",
    summary="An HTTP ServiceEntry becomes a virtual host with one route to the host's cluster, without a timeout",
    manifests=["resolution_none.yaml"],
    # Since Istio 1.15: the port in a Host header is ignored, so the domains need not name it.
    outcomes=[
        "service-entry/http-virtual-host",
        "service-entry/http-virtual-host-domains",
        "service-entry/http-route-cluster",
        "service-entry/http-route-no-timeout",
        "service-entry/http-route-decorator",
    ],
)
def test_http_entry_becomes_virtual_host(egress: Egress) -> None:
    hosts = {host.name: host for host in egress.config().virtual_hosts("80")}
    host = hosts.get(egress.in_cluster("none.test:80"))
    egress.check("virtual host", host and host.name, egress.in_cluster("none.test:80"))
    assert host
    # Since 1.27 the name with a trailing dot stands there too; before 1.15 the one with the port did.
    named = {domain.partition(":")[0].removesuffix(".") for domain in host.domains}
    egress.check("hosts of its domains", named, {egress.in_cluster("none.test")})
    egress.check("clusters of its routes", host.clusters, (egress.in_cluster(CLUSTER),))
    egress.check("number of routes", len(host.routes), 1)
    egress.check("route's match", host.routes[0]["match"], {"prefix": "/"})
    egress.check("route's timeout", host.routes[0]["route"]["timeout"], "0s")
    egress.check("route's decorator", host.routes[0]["decorator"]["operation"], egress.in_cluster("none.test:80/*"))
