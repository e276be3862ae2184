"""What the run's pods differ in from the plain manifests when a cluster wants it so."""

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
    return [one for one in documents if isinstance(one, dict) and one.get("kind") in ("Deployment", "Pod")]


def images(document: dict[str, Any]) -> list[str]:
    pods = document["spec"].get("template", document)["spec"]
    return [container["image"] for container in pods["containers"]]


def test_every_image_of_the_suite_can_be_replaced() -> None:
    used = {image_name(image) for one in workloads(fixtures_folder(), suite_folder()) for image in images(one)}
    assert used - {"auto"} == set(IMAGES)


def test_pods_are_placed() -> None:
    placement = Placement(
        images={"curl": "registry.example/tools/curl:1"},
        pull_secrets=("images/pull",),
        node_selector={"pool": "mesh"},
        tolerations=("pool=mesh:NoSchedule", "spot"),
    )
    assert Placement.of(placement.to_mapping()) == placement
    client = next(one for one in workloads(fixtures_folder()) if one["metadata"]["namespace"] == "egress-client")
    before = images(client)
    pods = placement.apply_to(client)["spec"]["template"]["spec"]
    assert images(client) == ["registry.example/tools/curl:1", *before[1:]]
    assert pods["imagePullSecrets"] == [{"name": "pull"}]
    assert pods["nodeSelector"] == {"pool": "mesh"}
    assert pods["tolerations"] == [
        {"key": "pool", "operator": "Equal", "value": "mesh", "effect": "NoSchedule"},
        {"key": "spot", "operator": "Exists"},
    ]


def test_pods_that_istio_makes_for_a_gateway_are_placed_too() -> None:
    placement = Placement(node_selector={"pool": "mesh"})
    gateway = placement.apply_to({"kind": "Gateway", "apiVersion": "gateway.networking.k8s.io/v1", "spec": {}})
    assert gateway["spec"]["infrastructure"]["parametersRef"]["name"] == GATEWAY_PLACEMENT
    overlay = json.loads(placement.gateway_overlay()["deployment"])
    assert overlay["spec"]["template"]["spec"] == {"nodeSelector": {"pool": "mesh"}}
    istios = {"kind": "Gateway", "apiVersion": "networking.istio.io/v1", "spec": {"selector": {}}}
    assert placement.apply_to(dict(istios)) == istios


def test_what_has_no_pods_stays() -> None:
    service = {"kind": "Service", "spec": {"ports": []}}
    assert Placement(node_selector={"a": "b"}).apply_to(dict(service)) == service


@pytest.mark.parametrize("image", ["curl", "r.example:5000/a/curl", "docker.io/curlimages/curl:8", "a/curl@sha256:0"])
def test_an_image_goes_by_the_last_part_of_its_name(image: str) -> None:
    assert image_name(image) == "curl"


def test_an_unknown_effect_is_refused() -> None:
    with pytest.raises(ValueError, match="NoSchedule"):
        toleration("a=b:Never")
