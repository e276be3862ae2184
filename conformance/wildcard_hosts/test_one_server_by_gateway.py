"""All hosts of a domain are routed through the egress gateway to the one server that serves them.

curl --SNI x.wild.test--> sidecar -> gateway:443 (PASSTHROUGH) -> www.wild.test, for every x
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blocked_tls, documented, get, outbound, reached

TO_THE_GATEWAY = outbound("istio-egressgateway.istio-system.svc.cluster.local", 443)


def served(name: str) -> Outcome:
    return reached(
        cluster=TO_THE_GATEWAY,
        gateway=Hop(cluster=outbound("www.wild.test", 443), server_name=name),
        source="gateway",
        server_saw={"server-name": name},
    )


@documented(
    source="tasks/traffic-management/egress/wildcard-egress-hosts/#configure-egress-gateway-traffic-to-a-wildcard-host",
    summary="Hosts of a wildcard that one server serves are routed through the gateway to that server",
    requires=["egress-gateway"],
    outcomes=["wildcard/one-server-at-gateway"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("https://en.wild.test/headers"), served("en.wild.test"), id="one-host"),
        pytest.param(get("https://de.wild.test/headers"), served("de.wild.test"), id="another-host"),
        # The gateway's route names the server, whatever address the client connects to.
        pytest.param(get("https://fr.wild.test/headers", to="192.0.2.81"), served("fr.wild.test"), id="any-address"),
        pytest.param(
            get("https://en.not-wild-by-gateway.test/headers"),
            blocked_tls(),
            id="other-domain",
        ),
    ],
)
def test_wildcard_at_gateway_routed_to_one_server(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="tasks/traffic-management/egress/wildcard-egress-hosts/#configure-egress-gateway-traffic-to-a-wildcard-host",
    summary="The gateway's cluster of that server counts the requests for all hosts of the wildcard",
    manifests=["one_server_by_gateway.yaml"],
    requires=["egress-gateway"],
    outcomes=["wildcard/one-server-at-gateway"],
)
def test_gateway_cluster_counts_requests(egress: Egress) -> None:
    name = egress.in_cluster(outbound("www.wild.test", 443))
    egress.expect(get("https://en.wild.test/headers"), served("en.wild.test"))
    before = egress.gateway_config().requests(name)
    egress.expect(get("https://de.wild.test/headers"), served("de.wild.test"))
    counted = egress.gateway_config().requests(name) > before
    egress.check("increase of the request counter of the server's cluster", counted, expected=True)
