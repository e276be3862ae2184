"""ALLOW_ANY_DYNAMIC_DNS as the mesh's mode: the proxy itself resolves unlisted HTTP hosts.

curl (to 198.51.100.7, no server there)  -> sidecar, by the Host header -> AllowAnyDynamicDNSCluster: DNS -> second
     TLS                                 -> PassthroughCluster -> the address that curl chose
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_istio_egress import Egress, blocked_http, documented, get, outbound, reached

if TYPE_CHECKING:
    # For annotations only: collecting the tests must not import the Kubernetes client.
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig

CLUSTER = "AllowAnyDynamicDNSCluster"
LISTED = get("http://listed-beside-names.test/headers")
REACHED = reached("second", cluster=outbound("listed-beside-names.test"))
# A host that DNS resolves but no entry lists; nothing listens at the address that curl connects to.
BY_NAME = get(
    "http://outside.egress-outside.svc.cluster.local/headers",
    arguments=["--connect-to", "::198.51.100.7:80"],
)


def has_dns_cluster(config: ProxyConfig) -> bool:
    return config.cluster(CLUSTER) is not None


@documented(
    source="reference/config/istio.mesh.v1alpha1/#MeshConfig-OutboundTrafficPolicy",
    summary="With ALLOW_ANY_DYNAMIC_DNS unlisted HTTP hosts are resolved by name; TLS goes to the client's address",
    requires=["http-1.1-upstream", "registry-only-mesh", "dynamic-dns-mesh"],
    outcomes=["outbound-policy/allow-any-dynamic-dns-clusters"],
)
def test_unlisted_host_with_dynamic_dns_resolved_by_name(egress: Egress) -> None:
    egress.expect(LISTED, REACHED)
    egress.expect(BY_NAME, blocked_http())
    with egress.changed_mesh_config({"outboundTrafficPolicy": {"mode": "ALLOW_ANY_DYNAMIC_DNS"}}, has_dns_cluster):
        egress.expect(LISTED, REACHED)
        egress.expect(BY_NAME, reached(cluster=CLUSTER))
        egress.expect(
            get("https://unlisted-beside-names.test/headers"),
            reached(cluster="PassthroughCluster"),
        )
    egress.expect(LISTED, REACHED)
    egress.expect(BY_NAME, blocked_http())
