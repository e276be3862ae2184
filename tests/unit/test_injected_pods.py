"""The suite's own proxies: what the mesh's defaultConfig would change of the evidence is set on each pod."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    (file, document)
    for file in sorted([*ROOT.glob("fixtures/*.yaml"), *ROOT.glob("conformance/*/*.yaml")])
    for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))
    if document
]
INJECTED = {
    document["metadata"]["name"]
    for _, document in DOCUMENTS
    if document.get("kind") == "Namespace"
    and document["metadata"].get("labels", {}).get("istio-injection") == "enabled"
}


def injected_pods() -> Iterator[Any]:
    for file, document in DOCUMENTS:
        if document.get("kind") != "Deployment":
            continue
        metadata = document["spec"]["template"]["metadata"]
        inject = metadata.get("labels", {}).get("sidecar.istio.io/inject", "")
        if inject == "true" or (document["metadata"]["namespace"] in INJECTED and inject != "false"):
            yield pytest.param(metadata.get("annotations", {}), id=f"{file.stem}-{document['metadata']['name']}")


@pytest.mark.parametrize("annotations", list(injected_pods()))
def test_injected_pod_has_a_proxy_configuration_of_its_own(annotations: dict[str, str]) -> None:
    config = yaml.safe_load(annotations.get("proxy.istio.io/config", "{}"))
    assert config.get("fileFlushInterval") == "0.05s"
    assert config.get("proxyAdminPort") == 15000
    if annotations.get("inject.istio.io/templates") == "gateway":
        return
    assert config["proxyMetadata"].keys() == {"ISTIO_META_DNS_CAPTURE"}
    assert config["proxyHeaders"] == {
        "server": {"disabled": False, "value": "envoy"},
        "requestId": {"disabled": False},
        "attemptCount": {"disabled": False},
        "envoyDebugHeaders": {"disabled": False},
    }


def test_namespaces_with_injection_are_known() -> None:
    assert {"egress-client", "egress-neighbour"} <= INJECTED
