"""After the task's clean-up neither the Service's name nor its cluster IP answers."""

from pytest_istio_egress import (
    PLAIN,
    Egress,
    Outcome,
    blocked_tls,
    documented,
    get,
    outbound,
    reached,
    reached_directly,
)

PAGE = "tasks/traffic-management/egress/egress-kubernetes-services/"
BESIDE = get("http://beside-the-clean-up.test/headers")
BESIDE_PLAIN = get("http://beside-the-clean-up.test/headers", client=PLAIN)
PASSES = reached(cluster=outbound("beside-the-clean-up.test"))
PASSES_PLAIN = reached_directly()


@documented(
    source=f"{PAGE}#cleanup-of-kubernetes-externalname-service",
    summary="Once the ExternalName Service and its rule are deleted, its name no longer resolves",
    manifests=["lifecycle.yaml"],
    requires=["http-1.1-upstream"],
    outcomes=["external-name/deleted-not-resolved"],
)
def test_deleted_external_name_does_not_resolve(egress: Egress) -> None:
    url = "http://my-cleaned.egress-client.svc.cluster.local/headers"
    egress.apply("lifecycle_external_name.yaml")
    named = reached(cluster=outbound("outside.egress-outside.svc.cluster.local"))
    egress.expect_all((get(url), named), (get(url, client=PLAIN), PASSES_PLAIN))
    egress.remove("lifecycle_external_name.yaml")
    egress.expect_all(
        (BESIDE, PASSES),
        (BESIDE_PLAIN, PASSES_PLAIN),
        (get(url), Outcome(exit=6, sidecar=False)),
        (get(url, client=PLAIN), Outcome(exit=6, sidecar=False)),
    )


@documented(
    source=f"{PAGE}#cleanup-of-kubernetes-service-with-endpoints",
    summary="Once rule, Endpoints and Service are deleted, the cluster IP no longer answers",
    manifests=["lifecycle.yaml"],
    requires=["http-1.1-upstream"],
    outcomes=["service-endpoints/deleted-no-answer"],
)
def test_deleted_service_does_not_answer(egress: Egress) -> None:
    egress.apply("lifecycle_endpoints.yaml")
    address = egress.resource("v1", "Service", "my-cleaned-endpoints")["spec"]["clusterIP"]
    probe = get("https://cleaned-endpoints.test/headers", to=address)
    plain = get("https://cleaned-endpoints.test/headers", to=address, client=PLAIN, max_time=5)
    cluster = outbound("my-cleaned-endpoints.egress-client.svc.cluster.local", 443)
    egress.expect_all((probe, reached(cluster=cluster)), (plain, PASSES_PLAIN))
    egress.remove("lifecycle_endpoints.yaml")
    egress.expect_all(
        (BESIDE, PASSES),
        (BESIDE_PLAIN, PASSES_PLAIN),
        (probe, blocked_tls()),
        # Without a sidecar the result depends on the network: connection refused, or no answer.
        (plain, Outcome(exit=frozenset({7, 28}), sidecar=False)),
    )
