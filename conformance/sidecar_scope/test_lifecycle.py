"""Before, with and after Sidecar resources: without them all Services are in scope on all their ports."""

from pytest_istio_egress import CLIENT, NEIGHBOUR, Egress, Outcome, blocked_http, blocked_tcp, documented, get, outbound

HERE = "comes-and-goes.egress-client.svc.cluster.local"
THERE = "comes-and-goes.egress-neighbour.svc.cluster.local"
ALL = [(HERE, 80), (HERE, 8080), (HERE, 8083), (THERE, 80), (THERE, 8080)]


def expect_full_scope(egress: Egress) -> None:
    expectations = []
    for client in (CLIENT, NEIGHBOUR):
        services = egress.config(client).outbound()
        wanted = [(egress.in_cluster(host), str(port)) for host, port in ALL]
        egress.check(
            f"outbound clusters of {client} for both Services", [each for each in services if each in wanted], wanted
        )
        for host, port in ALL:
            expected = Outcome(status=200, cluster=outbound(host, port), details="via_upstream")
            expectations.append((get(f"http://{host}:{port}/headers", client=client), expected))
    egress.expect_all(*expectations)


@documented(
    source="reference/config/networking/sidecar/",
    summary="Without a Sidecar resource every Service is reached on every port; also after Sidecars have been deleted",
    fixtures=["neighbour_client.yaml"],
    outcomes=["sidecar/without-sidecar-all-services", "sidecar/deleted-no-limits"],
)
def test_deleted_sidecar_no_longer_limits_scope(egress: Egress) -> None:
    expect_full_scope(egress)
    egress.apply("lifecycle_sidecars.yaml")
    in_scope = Outcome(status=200, cluster=outbound(THERE), details="via_upstream")
    for client in (CLIENT, NEIGHBOUR):
        egress.expect_all(
            (get(f"http://{THERE}:80/headers", client=client), in_scope),
            (get(f"http://{HERE}:80/headers", client=client), blocked_http()),
            (get(f"http://{HERE}:8083/headers", client=client), blocked_tcp()),
        )
    egress.remove("lifecycle_sidecars.yaml")
    expect_full_scope(egress)
