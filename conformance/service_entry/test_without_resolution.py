"""An HTTP ServiceEntry that names no resolution.

curl (to 192.0.2.80) -> sidecar: virtual host none.test:80 -> cluster ORIGINAL_DST -> 192.0.2.80"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, block_all, documented, get

AT = "reference/config/networking/service-entry/#ServiceEntry-Resolution"
CLUSTER = "outbound|80||none.test"


@documented(
    at=AT,
    says="An HTTP ServiceEntry without resolution lets requests for its host out, to the address that the client chose",
    rows=["serviceentry/http", "serviceentry/resolution-none"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://none.test/headers"), Outcome(status=200, reached="outside", cluster=CLUSTER), id="one-address"
        ),
        pytest.param(
            get("http://none.test/headers", to="192.0.2.81"),
            Outcome(status=200, reached="second", cluster=CLUSTER),
            id="another-address",
        ),
        pytest.param(get("http://not-none.test/headers"), block_all(), id="another-host"),
    ],
)
def test_without_resolution(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    at=AT,
    says="Resolution NONE becomes a cluster of type ORIGINAL_DST whose load balancing the cluster itself provides",
    manifests=["without_resolution.yaml"],
    since="the policy was called ORIGINAL_DST_LB until Envoy dropped that name; the connect timeout was 1 s, now 10 s",
    rows=["serviceentry/original-dst", "serviceentry/original-dst-policy", "serviceentry/connect-timeout"],
)
def test_cluster(egress: Egress) -> None:
    cluster = egress.config().cluster(egress.real(CLUSTER))
    egress.state("cluster's type", "ORIGINAL_DST", cluster and cluster.type)
    egress.state("cluster's load balancing", "CLUSTER_PROVIDED", cluster and cluster.load_balancing)
    egress.state("cluster's connect timeout", "10s", cluster and cluster.raw.get("connect_timeout"))


@documented(
    at="ops/diagnostic-tools/proxy-cmd/#deep-dive-into-envoy-configuration",
    says="An HTTP host outside gets a virtual host of its own, whose one route leads to its cluster without a timeout",
    manifests=["without_resolution.yaml"],
    since="1.15: the port in a Host header is ignored, so the domains need not name it",
    rows=[
        "serviceentry/virtual-host",
        "serviceentry/domains",
        "serviceentry/route",
        "serviceentry/route-timeout",
        "serviceentry/decorator",
    ],
)
def test_virtual_host(egress: Egress) -> None:
    hosts = {host.name: host for host in egress.config().virtual_hosts("80")}
    host = hosts.get(egress.real("none.test:80"))
    egress.state("virtual host", egress.real("none.test:80"), host and host.name)
    assert host
    # Since 1.27 the name with a trailing dot stands there too; before 1.15 the one with the port did.
    named = {domain.partition(":")[0].removesuffix(".") for domain in host.domains}
    egress.state("hosts of its domains", {egress.real("none.test")}, named)
    egress.state("clusters of its routes", (egress.real(CLUSTER),), host.clusters)
    egress.state("number of routes", 1, len(host.routes))
    egress.state("route's match", {"prefix": "/"}, host.routes[0]["match"])
    egress.state("route's timeout", "0s", host.routes[0]["route"]["timeout"])
    egress.state("route's decorator", egress.real("none.test:80/*"), host.routes[0]["decorator"]["operation"])
