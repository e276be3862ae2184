"""How the run's pods differ from the plain manifests."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.model.placement import GATEWAY_PLACEMENT, IMAGES, Placement, image_name, toleration
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
    assert pods["nodeSelector"] == {"pool": "mesh"}
    assert pods["tolerations"] == [
        {"key": "pool", "operator": "Equal", "value": "mesh", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]


def test_placement_applies_to_pods_of_the_gateway_api() -> None:
    placement = Placement(node_selector={"pool": "mesh"})
    gateway = placement.apply_to({"kind": "Gateway", "apiVersion": "gateway.networking.k8s.io/v1", "spec": {}})
    assert gateway["spec"]["infrastructure"]["parametersRef"]["name"] == GATEWAY_PLACEMENT
    overlay = json.loads(placement.gateway_overlay()["deployment"])
    assert overlay["spec"]["template"]["spec"] == {"nodeSelector": {"pool": "mesh"}}
    istios = {"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "spec": {"selector": {}}}
    assert placement.apply_to(dict(istios)) == istios


def test_manifest_without_pods_stays() -> None:
    service = {"kind": "Service", "spec": {"ports": []}}
    assert Placement(node_selector={"a": "b"}).apply_to(dict(service)) == service


@pytest.mark.parametrize("image", ["curl", "r.example:5000/a/curl", "docker.io/curlimages/curl:8", "a/curl@sha256:0"])
def test_image_name_is_its_last_part(image: str) -> None:
    assert image_name(image) == "curl"


def test_toleration_with_unknown_effect_is_rejected() -> None:
    with pytest.raises(ValueError, match="NoSchedule"):
        toleration("a=b:Never")
