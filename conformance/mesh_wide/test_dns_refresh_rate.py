"""The DNS refresh rate is a setting of the mesh; it is set in the clusters that resolve names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_istio_egress import Egress, documented, get, outbound, reached

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig

RATES = "7s", "11s"
"""The second one where the mesh's own is the first."""


@documented(
    source="reference/config/istio.mesh.v1alpha1/#MeshConfig",
    summary="The mesh's dnsRefreshRate is set in clusters that resolve names, and in no others",
    # By Istio 1.31: the rate counts only where a lookup failed; else the TTL of DNS' answer does.
    requires=["http-1.1-upstream"],
    outcomes=["dns/refresh-rate"],
)
def test_mesh_dns_refresh_rate_reaches_clusters(egress: Egress) -> None:
    cluster = egress.in_cluster(outbound("resolved-at-a-rate.test"))
    without = egress.in_cluster(outbound("resolved-by-nobody.test"))

    def rate(config: ProxyConfig, name: str = cluster) -> object:
        resolving = config.cluster(name)
        return resolving and resolving.raw.get("dns_refresh_rate")

    before = rate(egress.config())
    egress.check("dnsRefreshRate before the change", "a rate" if before else "none", "a rate")
    changed = RATES[1] if before == RATES[0] else RATES[0]
    with egress.changed_mesh_config({"dnsRefreshRate": changed}, lambda config: rate(config) == changed):
        egress.check("dnsRefreshRate after the change", rate(egress.config()), changed)
        resolving = egress.config().cluster(cluster)
        egress.check(
            "refresh interval of a resolved name",
            "TTL" if resolving and resolving.raw.get("respect_dns_ttl") else "rate",
            "TTL",
        )
        egress.check("rate of a cluster without DNS", rate(egress.config(), without), None)
        egress.expect(
            get("http://resolved-at-a-rate.test/headers"),
            reached(cluster=outbound("resolved-at-a-rate.test")),
        )
    egress.check("dnsRefreshRate once the change is undone", rate(egress.config()), before)
