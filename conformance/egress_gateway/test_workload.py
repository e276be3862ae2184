"""What an egress gateway is made of."""

from pytest_istio_egress import Egress, documented


@documented(
    at="tasks/traffic-management/egress/egress-gateway/#deploy-istio-egress-gateway",
    says="An egress gateway is a pod with Istio's proxy alone, behind a Service",
    manifests=[],
    requires=["egress-gateway"],
    rows=["workshop/gateway-workload"],
    unruled={
        "": "Istio's installation brings the gateway, no rule of the case does",
    },
)
def test_workload(egress: Egress) -> None:
    pod = egress.pod("istio-egressgateway.istio-system")
    egress.state("its containers", ["istio-proxy"], [container["name"] for container in pod["spec"]["containers"]])
