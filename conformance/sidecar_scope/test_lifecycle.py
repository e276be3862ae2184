"""Before the Sidecars, with them, and after them: without one a sidecar knows all Services on all their ports."""

from pytest_istio_egress import CLIENT, NEIGHBOUR, Egress, Outcome, blocked_http, blocked_tcp, documented, get, outbound

HERE = "comes-and-goes.egress-client.svc.cluster.local"
THERE = "comes-and-goes.egress-neighbour.svc.cluster.local"
ALL = [(HERE, 80), (HERE, 8080), (HERE, 8083), (THERE, 80), (THERE, 8080)]


def everything_is_known(egress: Egress) -> None:
    asked = []
    for client in (CLIENT, NEIGHBOUR):
        services = egress.config(client).outbound()
        wanted = [(egress.in_cluster(host), str(port)) for host, port in ALL]
        egress.check(
            f"what {client} knows of both services", [service for service in services if service in wanted], wanted
        )
        for host, port in ALL:
            expected = Outcome(status=200, cluster=outbound(host, port), details="via_upstream")
            asked.append((get(f"http://{host}:{port}/headers", client=client), expected))
    egress.expect_all(*asked)


@documented(
    source="reference/config/networking/sidecar/",
    summary="Without a Sidecar a sidecar knows every Service on every port; once Sidecars are deleted it does so again",
    fixtures=["neighbour_client.yaml"],
    outcomes=["sidecar/without-sidecar-all-services", "sidecar/deleted-no-limits"],
)
def test_deleted_sidecar_no_longer_limits_scope(egress: Egress) -> None:
    everything_is_known(egress)
    egress.apply("lifecycle_sidecars.yaml")
    let_in = Outcome(status=200, cluster=outbound(THERE), details="via_upstream")
    for client in (CLIENT, NEIGHBOUR):
        egress.expect_all(
            (get(f"http://{THERE}:80/headers", client=client), let_in),
            (get(f"http://{HERE}:80/headers", client=client), blocked_http()),
            (get(f"http://{HERE}:8083/headers", client=client), blocked_tcp()),
        )
    egress.remove("lifecycle_sidecars.yaml")
    everything_is_known(egress)
