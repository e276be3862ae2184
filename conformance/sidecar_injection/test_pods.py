"""Injection adds the proxy to a pod; without injection there is none."""

import pytest

from pytest_istio_egress import CLIENT, NEIGHBOUR, PLAIN, Egress, documented


@documented(
    source="setup/additional-setup/sidecar-injection/",
    summary="In a namespace with injection each pod has a ready istio-proxy; in other namespaces it has none",
    manifests=[],
    fixtures=["neighbour_client.yaml"],
    # Since Istio 1.27: the proxy is an init container that goes on running; before, it was an ordinary
    # container.
    outcomes=["injection/pod-ready-2-of-2", "injection/client-pod-ready-2-of-2", "injection/no-proxy-without-label"],
    independent_of_manifests={
        "": "injection depends on the namespace's label, not on the case's manifests",
    },
)
@pytest.mark.parametrize(("client", "proxies"), [(CLIENT, 1), (NEIGHBOUR, 1), (PLAIN, 0)], ids=str)
def test_injected_pod_has_ready_proxy(egress: Egress, client: str, proxies: int) -> None:
    pod = egress.pod(client)
    specified = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
    states = [*pod["status"].get("initContainerStatuses", []), *pod["status"]["containerStatuses"]]
    egress.check("proxies in the pod", sum(container["name"] == "istio-proxy" for container in specified), proxies)
    ready = [state["ready"] for state in states if state["name"] == "istio-proxy"]
    egress.check("proxies that are ready", ready, [True] * proxies)
