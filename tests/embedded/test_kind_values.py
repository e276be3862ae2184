"""kind/istio.yaml is what the embedded cluster runs: the same objects but for what one node and upstream Envoy need."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.embedded.istio_manifest import FOR_UPSTREAM_ENVOY, ONE_NODE, tight
from pytest_istio_egress.embedded.node_plan import NodePlan
from pytest_istio_egress.embedded.state import State

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(os.geteuid() != 0, reason="the embedded cluster needs root"),
]
KIND = Path(__file__).parents[2] / "kind" / "istio.yaml"


def test_same_objects(cluster: EmbeddedCluster) -> None:
    # `istioctl install` makes the revision the default one by itself.
    own = ["hub=docker.io/istio", f"tag={cluster.istio}", "values.defaultRevision=default"]
    settings = [part for setting in (*own, *FOR_UPSTREAM_ENVOY, *ONE_NODE) for part in ("--set", setting)]
    command = [str(cluster.binaries / "istioctl"), "manifest", "generate", "-f", str(KIND), *settings]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rendered = by_name([tight(found) for found in yaml.safe_load_all(told) if found])
    plan = NodePlan.read(State(cluster.name).folder)
    applied = by_name(json.loads(plan.istio_manifest.read_bytes()))
    assert len(rendered) > 30
    assert {key: applied.get(key) for key in rendered} == rendered
    assert {kind for kind, _ in applied.keys() - rendered.keys()} <= {"CustomResourceDefinition"}


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    return {(found["kind"], found["metadata"]["name"]): found for found in objects}
