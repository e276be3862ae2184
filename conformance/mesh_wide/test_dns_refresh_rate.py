"""How often proxies ask DNS again is a setting of the mesh; it arrives in the clusters that resolve names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_istio_egress import Egress, Outcome, documented, get

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig

RATE = "7s"


@documented(
    at="reference/config/istio.mesh.v1alpha1/#MeshConfig",
    says="The mesh's dnsRefreshRate arrives in the clusters that resolve names, and in no others",
    since="by 1.31: the rate counts only where a lookup failed; else the TTL of DNS' answer does",
    rows=["deck/dns-refresh-rate"],
)
def test_dns_refresh_rate(egress: Egress) -> None:
    cluster = egress.real("outbound|80||resolved-at-a-rate.test")
    without = egress.real("outbound|80||resolved-by-nobody.test")

    def rate(config: ProxyConfig, name: str = cluster) -> object:
        found = config.cluster(name)
        return found and found.raw.get("dns_refresh_rate")

    before = rate(egress.config())
    egress.state("the rate before", "one, but another", "one, but another" if before not in (None, RATE) else before)
    with egress.mesh({"dnsRefreshRate": RATE}, lambda config: rate(config) == RATE):
        egress.state("the rate", RATE, rate(egress.config()))
        found = egress.config().cluster(cluster)
        egress.state(
            "what else counts", "the TTL", "the TTL" if found and found.raw.get("respect_dns_ttl") else "nothing"
        )
        egress.state("rate of a cluster without DNS", None, rate(egress.config(), without))
        egress.expect(
            get("http://resolved-at-a-rate.test/headers"),
            Outcome(status=200, reached="outside", cluster="outbound|80||resolved-at-a-rate.test"),
        )
    egress.state("the rate afterwards", before, rate(egress.config()))
