"""A host moves into the cluster: only its Service changes, not the client.

curl --Host: my-moved--> sidecar -> outside             (the Service is a name for it)
                                 -> a pod of the mesh   (the Service selects it)
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached

ALIAS = "my-moved.egress-client.svc.cluster.local"


@documented(
    source="tasks/traffic-management/egress/egress-kubernetes-services/",
    summary="A client uses a Service in the same way whether it refers to an external host or to pods of the cluster",
    requires=["http-1.1-upstream"],
    outcomes=["external-name/moved-into-cluster"],
)
def test_service_moved_into_cluster_still_answers(egress: Egress) -> None:
    egress.expect(
        get(f"http://{ALIAS}/headers"),
        reached(cluster=outbound("outside.egress-outside.svc.cluster.local"), request_headers={"host": ALIAS}),
    )
    egress.apply("service_moved_into_cluster.yaml")
    egress.expect(
        get(f"http://{ALIAS}/headers"),
        Outcome(status=200, cluster=outbound(ALIAS), flags="-", request_headers={"host": ALIAS}),
    )
