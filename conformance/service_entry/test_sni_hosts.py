"""A TLS VirtualService routes by the client's server name.

curl https://second.test -> sidecar 0.0.0.0_443, chain [second.test] -> 192.0.2.81
curl https://a.wild.test ->                      chain [*.wild.test] -> 192.0.2.80"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_tls, documented, get, outbound, reached

AT = "reference/config/networking/virtual-service/#TLSMatchAttributes"


@documented(
    source=AT,
    summary="sniHosts route TLS by server name, whatever address the client connects to",
    outcomes=["service-entry/https-dns-reached", "virtual-service/sni-hosts-wildcard"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://second.test/headers"),
            reached("second", server_saw={"server-name": "second.test"}),
            id="exact",
        ),
        pytest.param(
            get("https://a.wild.test/headers", to="192.0.2.81"),
            reached(cluster=outbound("*.wild.test", 443)),
            id="wildcard",
        ),
        pytest.param(
            get("https://wild-not.test/headers"),
            blocked_tls(),
            id="another-name",
        ),
    ],
)
def test_tls_with_sni_hosts_routed_by_server_name(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=AT,
    summary="sniHosts become the server names of a filter chain with the destination's cluster",
    manifests=["sni_hosts.yaml"],
    outcomes=["virtual-service/sni-hosts-filter-chain"],
)
def test_sni_hosts_become_filter_chain(egress: Egress) -> None:
    listener = egress.config().listener(egress.in_cluster("0.0.0.0_443"))
    chains = {chain.server_names: chain.cluster for chain in listener.chains} if listener else {}
    for host in ("second.test", "*.wild.test"):
        name = egress.in_cluster(host)
        egress.check(f"cluster of the chain for {host}", chains.get((name,)), outbound(name, 443))
