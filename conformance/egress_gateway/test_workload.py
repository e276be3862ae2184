"""The workload of an egress gateway."""

from pytest_istio_egress import Egress, documented


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#deploy-istio-egress-gateway",
    summary="An egress gateway is a pod with istio-proxy as its only container, behind a Service",
    manifests=[],
    requires=["egress-gateway"],
    outcomes=["egress-gateway/workload-proxy-only"],
    independent_of_manifests={
        "": "the gateway belongs to Istio's installation, not to the case's manifests",
    },
)
def test_gateway_pod_runs_proxy_only(egress: Egress) -> None:
    pod = egress.pod("istio-egressgateway.istio-system")
    egress.check(
        "containers of the gateway's pod",
        [container["name"] for container in pod["spec"]["containers"]],
        ["istio-proxy"],
    )
