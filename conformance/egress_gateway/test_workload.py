"""What an egress gateway is made of."""

from pytest_istio_egress import Egress, documented


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#deploy-istio-egress-gateway",
    summary="An egress gateway is a pod with Istio's proxy alone, behind a Service",
    manifests=[],
    requires=["egress-gateway"],
    outcomes=["egress-gateway/workload-proxy-only"],
    independent_of_manifests={
        "": "Istio's installation brings the gateway, no rule of the case does",
    },
)
def test_gateway_pod_runs_proxy_only(egress: Egress) -> None:
    pod = egress.pod("istio-egressgateway.istio-system")
    egress.check("its containers", [container["name"] for container in pod["spec"]["containers"]], ["istio-proxy"])
