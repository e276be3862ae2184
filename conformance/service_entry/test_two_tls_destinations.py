"""A TLS route with two destinations: connections are shared out by weight.

curl https://second.test -> sidecar 0.0.0.0_443, chain [second.test] -> 30 of 100 to one, 70 to the other
"""

from pytest_istio_egress import Egress, documented


@documented(
    at="reference/config/networking/virtual-service/#TLSRoute",
    says="A TLS route may have several destinations, whose weights say how many of the connections each gets",
    since="by 1.31: several are accepted; documents of 1.0 allow a single one, of weight 100",
    rows=["serviceentry/one-destination"],
)
def test_two_tls_destinations(egress: Egress) -> None:
    listener = egress.config().listener("0.0.0.0_443")
    chains = {chain.server_names: chain.weights for chain in listener.chains} if listener else {}
    weights = {
        egress.real("outbound|443||one.shared-out.test"): 30,
        egress.real("outbound|443||second.test"): 70,
    }
    egress.state("weights of the chain for second.test", weights, chains.get((egress.real("second.test"),)))
