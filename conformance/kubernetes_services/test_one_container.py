"""What injection makes of a pod, and what it leaves alone."""

import pytest

from pytest_istio_egress import CLIENT, PLAIN, Egress, documented


@documented(
    at="tasks/traffic-management/egress/egress-kubernetes-services/#before-you-begin",
    says="A namespace without injection has the client's container alone; with injection there is a proxy beside it",
    manifests=[],
    since="1.27: an injected proxy is an init container that keeps running, so both lists count",
    rows=["services/one-container"],
    unruled={
        "": "the namespace's label decides on injection, no rule of the case does",
    },
)
@pytest.mark.parametrize(
    ("client", "containers"),
    [
        pytest.param(PLAIN, ["curl"], id="without-sidecar"),
        pytest.param(CLIENT, ["curl", "httpbin", "istio-proxy"], id="with-sidecar"),
    ],
)
def test_one_container(egress: Egress, client: str, containers: list[str]) -> None:
    pod = egress.config(client).pod
    spec = egress.resource("v1", "Pod", pod.name, pod.namespace)["spec"]
    running = [container["name"] for container in spec["containers"]]
    kept = [each["name"] for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
    egress.state("containers that run in the client's pod", containers, sorted(running + kept))
