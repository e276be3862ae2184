"""How often proxies ask DNS again is a setting of the mesh; it arrives in the clusters that resolve names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_istio_egress import Egress, documented, get, outbound, reached

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig

RATE = "7s"


@documented(
    source="reference/config/istio.mesh.v1alpha1/#MeshConfig",
    summary="The mesh's dnsRefreshRate arrives in the clusters that resolve names, and in no others",
    # By Istio 1.31: the rate counts only where a lookup failed; else the TTL of DNS' answer does.
    outcomes=["dns/refresh-rate"],
)
def test_mesh_dns_refresh_rate_reaches_clusters(egress: Egress) -> None:
    cluster = egress.in_cluster(outbound("resolved-at-a-rate.test"))
    without = egress.in_cluster(outbound("resolved-by-nobody.test"))

    def rate(config: ProxyConfig, name: str = cluster) -> object:
        found = config.cluster(name)
        return found and found.raw.get("dns_refresh_rate")

    before = rate(egress.config())
    egress.check("the rate before", "one, but another" if before not in (None, RATE) else before, "one, but another")
    with egress.changed_mesh_config({"dnsRefreshRate": RATE}, lambda config: rate(config) == RATE):
        egress.check("the rate", rate(egress.config()), RATE)
        found = egress.config().cluster(cluster)
        egress.check(
            "what else counts", "the TTL" if found and found.raw.get("respect_dns_ttl") else "nothing", "the TTL"
        )
        egress.check("rate of a cluster without DNS", rate(egress.config(), without), None)
        egress.expect(
            get("http://resolved-at-a-rate.test/headers"),
            reached(cluster=outbound("resolved-at-a-rate.test")),
        )
    egress.check("the rate afterwards", rate(egress.config()), before)
