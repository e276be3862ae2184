"""The containers of pods with and without injection."""

import pytest

from pytest_istio_egress import CLIENT, PLAIN, Egress, documented


@documented(
    source="tasks/traffic-management/egress/egress-kubernetes-services/#before-you-begin",
    summary="Without injection the client's pod runs its own containers; with injection it runs a proxy as well",
    manifests=[],
    # Since Istio 1.27: an injected proxy is an init container that keeps running, so both lists count. Other webhooks
    # may add containers of their own.
    outcomes=["injection/no-proxy-without-label"],
    independent_of_manifests={
        "": "injection depends on the namespace's label, not on the case's manifests",
    },
)
@pytest.mark.parametrize(
    ("client", "containers"),
    [
        pytest.param(PLAIN, ["curl"], id="without-sidecar"),
        pytest.param(CLIENT, ["curl", "httpbin", "istio-proxy"], id="with-sidecar"),
    ],
)
def test_pod_without_injection_has_one_container(egress: Egress, client: str, containers: list[str]) -> None:
    pod = egress.config(client).pod
    spec = egress.resource("v1", "Pod", pod.name, pod.namespace)["spec"]
    running = [container["name"] for container in spec["containers"]]
    kept = [each["name"] for each in spec.get("initContainers", []) if each.get("restartPolicy") == "Always"]
    seen = sorted(name for name in running + kept if name in (*containers, "istio-proxy"))
    egress.check("containers of the manifest and of Istio that run in the client's pod", seen, containers)
