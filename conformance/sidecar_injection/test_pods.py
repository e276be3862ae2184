"""What injection makes of a pod: the proxy beside its own container; without injection there is none."""

import pytest

from pytest_istio_egress import CLIENT, NEIGHBOUR, PLAIN, Egress, documented


@documented(
    at="setup/additional-setup/sidecar-injection/",
    says="In a namespace with injection each pod has Istio's proxy and is ready with it; elsewhere it has none",
    manifests=[],
    fixtures=["neighbour_client.yaml"],
    since="1.27: the proxy is an init container that goes on running; before, it was an ordinary container",
    rows=["workshop/injected-pod", "serviceentry/injected-pod", "services/one-container"],
    unruled={
        "": "the namespace's label decides on injection, no rule of the case does",
    },
)
@pytest.mark.parametrize(("client", "proxies"), [(CLIENT, 1), (NEIGHBOUR, 1), (PLAIN, 0)], ids=str)
def test_pods(egress: Egress, client: str, proxies: int) -> None:
    pod = egress.pod(client)
    specified = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    states = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
    egress.state("proxies in the pod", proxies, sum(container["name"] == "istio-proxy" for container in specified))
    ready = [state["ready"] for state in states if state["name"] == "istio-proxy"]
    egress.state("proxies that are ready", [True] * proxies, ready)
