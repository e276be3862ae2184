"""A wildcard entry of resolution DYNAMIC_DNS: the sidecar resolves the host of each request.

curl --Host: outside..., to the address of second--> sidecar --DNS: outside...--> outside
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, blocked_tls, documented, get, outbound, reached

DOMAIN = "egress-outside.svc.cluster.local"
HTTP_CLUSTER = outbound(f"*.{DOMAIN}")
TLS_CLUSTER = outbound(f"*.{DOMAIN}", 443)
SECOND = "192.0.2.81"
PAGE = "reference/config/networking/service-entry/#ServiceEntry-Resolution"


def pinned(host: str, port: int, address: str) -> tuple[str, str]:
    """Return curl's arguments that send a request for a host to another address."""
    return ("--resolve", f"{host}:{port}:{address}")


@documented(
    source=PAGE,
    summary="A wildcard ServiceEntry with resolution DYNAMIC_DNS reaches each matching host at its address in DNS",
    requires=["dynamic-dns"],
    # Since Istio 1.30: sidecars have DYNAMIC_DNS.
    outcomes=["wildcard/dynamic-dns-any-host-below"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get(f"http://outside.{DOMAIN}/headers"),
            reached(cluster=HTTP_CLUSTER),
            id="one-host",
        ),
        pytest.param(
            get(f"http://second.{DOMAIN}/headers"),
            reached("second", cluster=HTTP_CLUSTER),
            id="another-host",
        ),
        # The client connects to the wrong address; the sidecar resolves the host itself.
        pytest.param(
            get(f"http://outside.{DOMAIN}/headers", arguments=pinned(f"outside.{DOMAIN}", 80, SECOND)),
            reached(cluster=HTTP_CLUSTER),
            id="http-by-host-not-by-address",
        ),
        pytest.param(
            get(f"https://outside.{DOMAIN}/headers", arguments=pinned(f"outside.{DOMAIN}", 443, SECOND)),
            reached(cluster=TLS_CLUSTER),
            id="tls-by-host-not-by-address",
        ),
        pytest.param(
            get(f"http://nobody.{DOMAIN}/headers", arguments=pinned(f"nobody.{DOMAIN}", 80, SECOND)),
            Outcome(status=503, cluster=HTTP_CLUSTER, flags="DF"),
            id="host-that-dns-does-not-know",
        ),
        pytest.param(get("http://beyond-dynamic-dns.test/headers"), blocked_http(), id="other-domain"),
        pytest.param(
            get("https://beyond-dynamic-dns.test/headers"),
            blocked_tls(),
            id="tls-other-domain",
        ),
    ],
)
def test_host_with_dynamic_dns_resolved_by_name(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="One cluster serves all hosts of the wildcard and counts their requests",
    manifests=["dynamic_dns.yaml"],
    requires=["http-1.1-upstream", "dynamic-dns"],
    outcomes=["wildcard/dynamic-dns-any-host-below"],
)
def test_dynamic_dns_cluster_counts_requests(egress: Egress) -> None:
    name = egress.in_cluster(HTTP_CLUSTER)
    before = egress.config().requests(name)
    egress.expect(get(f"http://outside.{DOMAIN}/headers"), reached(cluster=HTTP_CLUSTER))
    cluster = egress.config().cluster(name)
    egress.check("type of the wildcard's cluster", cluster and cluster.type, "envoy.clusters.dynamic_forward_proxy")
    egress.check("increase of the cluster's request counter", egress.config().requests(name) > before, expected=True)
