"""How the run's pods differ from the plain manifests."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.cli.main import main
from pytest_istio_egress.model.placement import (
    DEFAULT_REGISTRY,
    GATEWAY_PLACEMENT,
    IMAGES,
    Placement,
    image_name,
    toleration,
)
from pytest_istio_egress.suite.discovery import fixtures_folder, suite_folder


def workloads(*folders: Path) -> list[dict[str, Any]]:
    files = [file for folder in folders for file in sorted(folder.rglob("*.yaml"))]
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    return [each for each in documents if isinstance(each, dict) and each.get("kind") in ("Deployment", "Pod")]


def images(document: dict[str, Any]) -> list[str]:
    pods = document["spec"].get("template", document)["spec"]
    return [container["image"] for container in pods["containers"]]


def test_every_image_of_the_suite_can_be_replaced() -> None:
    used = {image_name(image) for each in workloads(fixtures_folder(), suite_folder()) for image in images(each)}
    assert used - {"auto"} == set(IMAGES)


def test_images_of_a_run_are_listed_and_can_be_pulled_from_another_registry(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["images"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert {image_name(image) for image in listed} == set(IMAGES)
    assert all(image.startswith(f"{DEFAULT_REGISTRY}/") for image in listed)
    placement = Placement(images={"curl": "other.example/curl:1"}, image_registry="registry.example/mirror")
    moved = {
        image for each in workloads(fixtures_folder(), suite_folder()) for image in images(placement.apply_to(each))
    }
    expected = {image.replace(DEFAULT_REGISTRY, "registry.example/mirror") for image in listed if "curl" not in image}
    assert moved == {*expected, "other.example/curl:1", "auto"}


def test_placement_applies_to_pods() -> None:
    placement = Placement(
        images={"curl": "registry.example/tools/curl:1"},
        pull_secrets=("images/pull",),
        node_selector={"pool": "mesh"},
        tolerations=("pool=mesh:NoSchedule", "spot"),
    )
    assert Placement.of(placement.to_mapping()) == placement
    client = next(each for each in workloads(fixtures_folder()) if each["metadata"]["namespace"] == "egress-client")
    before = images(client)
    pods = placement.apply_to(client)["spec"]["template"]["spec"]
    assert images(client) == ["registry.example/tools/curl:1", *before[1:]]
    assert pods["imagePullSecrets"] == [{"name": "pull"}]
    assert pods["nodeSelector"] == {"kubernetes.io/os": "linux", "pool": "mesh"}
    assert pods["tolerations"] == [
        {"key": "pool", "operator": "Equal", "value": "mesh", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]


def test_placement_applies_to_pods_of_the_gateway_api() -> None:
    placement = Placement(node_selector={"pool": "mesh"})
    gateway = placement.apply_to(
        {"kind": "Gateway", "apiVersion": "gateway.networking.k8s.io/v1", "metadata": {}, "spec": {}}
    )
    assert gateway["spec"]["infrastructure"]["parametersRef"]["name"] == GATEWAY_PLACEMENT
    overlay = json.loads(placement.gateway_overlay()["deployment"])
    assert overlay["spec"]["template"]["spec"] == {"nodeSelector": {"pool": "mesh"}}
    istios = {"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "metadata": {}, "spec": {"selector": {}}}
    assert placement.apply_to(dict(istios)) == istios


def test_manifest_without_pods_stays() -> None:
    service = {"kind": "Service", "metadata": {}, "spec": {"ports": []}}
    assert Placement(node_selector={"a": "b"}).apply_to(dict(service)) == service


def documents() -> list[dict[str, Any]]:
    files = [*fixtures_folder().rglob("*.yaml"), *suite_folder().rglob("*.yaml")]
    read = [document for file in files for document in yaml.safe_load_all(file.read_text())]
    return [each for each in read if isinstance(each, dict) and "apiVersion" in each]


@pytest.mark.parametrize("field", ["labels", "annotations"])
def test_labels_and_annotations_are_on_every_object_and_pod(field: str) -> None:
    wanted: dict[str, Any] = {field: {"team": "payments", "app": "other"}}
    placement = Placement(**wanted)
    for document in documents():
        own = dict((document.get("metadata") or {}).get(field) or {})
        of_gateway = dict((document.get("spec") or {}).get("infrastructure", {}).get(field) or {})
        placed = placement.apply_to(document)
        assert placed["metadata"][field] == {"team": "payments", "app": "other", **own}, placed["metadata"]
        if document["kind"] == "Deployment":
            template = placed["spec"]["template"]["metadata"]
            assert template[field]["team"] == "payments"
            assert template["labels"]["app"] == placed["spec"]["selector"]["matchLabels"]["app"]
        if placed["apiVersion"].startswith("gateway.networking") and document["kind"] == "Gateway":
            expected = {"team": "payments", "app": "other", **of_gateway}
            assert placed["spec"]["infrastructure"][field] == expected, "istiod gives them to what it creates"


def test_no_pod_sets_a_user_where_the_platform_assigns_it() -> None:
    for document in workloads(fixtures_folder(), suite_folder()):
        assert "runAsUser" not in str(Placement(user_ids="assigned").apply_to(document))


def test_every_pod_runs_on_linux_without_variables_of_services() -> None:
    for document in workloads(fixtures_folder(), suite_folder()):
        pods = Placement().apply_to(document)["spec"]["template"]["spec"]
        assert pods["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert pods["enableServiceLinks"] is False


def test_resources_are_those_of_every_container_but_the_proxy() -> None:
    placement = Placement(resources={"requests.cpu": "5m", "limits.example.com/gpu": "1"})
    for document in workloads(fixtures_folder(), suite_folder()):
        pods = placement.apply_to(document)["spec"]["template"]["spec"]
        for container in pods["containers"]:
            if container["name"] == "istio-proxy":
                assert "resources" not in container
            else:
                assert container["resources"]["requests"] == {"cpu": "5m", "memory": "32Mi"}
                assert container["resources"]["limits"]["example.com/gpu"] == "1"


def namespace(name: str) -> dict[str, Any]:
    labels = {"istio-injection": "enabled", "pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def test_pod_security_labels_are_left_out_where_no_pod_needs_them() -> None:
    assert Placement().apply_to(namespace("egress-client-k3x9q-gw0")) == namespace("egress-client-k3x9q-gw0")
    without = Placement(pod_security=False).apply_to(namespace("egress-plain-k3x9q"))
    assert without["metadata"]["labels"] == {"istio-injection": "enabled"}


def test_pod_security_label_of_the_user_wins() -> None:
    placement = Placement(labels={"pod-security.kubernetes.io/enforce": "baseline"}, pod_security=False)
    labels = placement.apply_to(namespace("egress-client-k3x9q-gw0"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "baseline"


def test_injected_gateway_can_have_its_image_before_injection() -> None:
    gateways = [each for each in workloads(fixtures_folder()) if "auto" in images(each)]
    assert gateways
    for gateway in gateways:
        assert images(Placement(proxy_image="r.example/proxyv2:1").apply_to(gateway)) == ["r.example/proxyv2:1"]


@pytest.mark.parametrize("image", ["curl", "r.example:5000/a/curl", "docker.io/curlimages/curl:8", "a/curl@sha256:0"])
def test_image_name_is_its_last_part(image: str) -> None:
    assert image_name(image) == "curl"


def test_toleration_with_unknown_effect_is_rejected() -> None:
    with pytest.raises(ValueError, match="NoSchedule"):
        toleration("a=b:Never")
