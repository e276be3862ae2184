"""A TLS route with two destinations: connections are split by weight.

curl https://second.test -> sidecar 0.0.0.0_443, chain [second.test] -> 30 of 100 to one, 70 to the other
                                                                     -> all to one, then all to the other
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached

ONE = outbound("one.shared-out.test", 443)
OTHER = outbound("second.test", 443)
CONNECTIONS = 8
"""With equal weights all of them would reach one destination once in 128 times."""


def answered_by(server: str, cluster: str) -> Outcome:
    return reached(server, cluster=cluster, server_saw={"server-name": "second.test"}, times=CONNECTIONS)


def share(egress: Egress) -> dict[str, int]:
    listener = egress.config().listener(egress.in_cluster("0.0.0.0_443"))
    chains = {chain.server_names: dict(chain.weights) for chain in listener.chains} if listener else {}
    return chains.get((egress.in_cluster("second.test"),), {})


@documented(
    source="reference/config/networking/virtual-service/#TLSRoute",
    summary="A TLS route with several destinations splits connections between them by weight",
    # By Istio 1.31: several are accepted; documents of 1.0 allow a single one, of weight 100.
    outcomes=["virtual-service/tls-route-destinations"],
)
def test_tls_with_weights_shared_between_destinations(egress: Egress) -> None:
    both = {egress.in_cluster(ONE): 30, egress.in_cluster(OTHER): 70}
    egress.check("weights of the chain for second.test", share(egress), both)
    # The destination of a single connection is random: weights of 100 and 0 show that they are applied.
    egress.apply("weighted_tls_all_to_first.yaml")
    egress.expect(get("https://second.test/headers"), answered_by("outside", ONE))
    egress.apply("weighted_tls_all_to_second.yaml")
    egress.expect(get("https://second.test/headers"), answered_by("second", OTHER))
