"""The workload of an egress gateway."""

from pytest_istio_egress import Egress, documented


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#deploy-istio-egress-gateway",
    summary="An egress gateway is a pod whose istio-proxy is a router instead of a sidecar, behind a Service",
    manifests=[],
    requires=["egress-gateway"],
    outcomes=["egress-gateway/workload-proxy-only"],
    independent_of_manifests={
        "": "the gateway belongs to Istio's installation, not to the case's manifests",
    },
)
def test_gateway_pod_runs_router(egress: Egress) -> None:
    pod = egress.pod("istio-egressgateway.istio-system")
    containers = {container["name"]: container for container in pod["spec"]["containers"]}
    egress.check("presence of istio-proxy in the gateway's pod", "istio-proxy" in containers, expected=True)
    arguments = containers["istio-proxy"]["args"]
    egress.check("role router among the arguments of istio-proxy", "router" in arguments, expected=True)
