"""The run's namespaces get the labels that the mesh's discoverySelectors select, or the run ends with one line."""

from __future__ import annotations

from typing import Any, cast

import pytest

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.discovery import ALL_NAMESPACES, added_labels, described, parsed
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.suite.discovery import fixtures_folder

INJECTED, PLAIN = {"istio-injection": "enabled"}, {"istio-injection": "disabled"}


def expression(key: str, operator: str, *values: str) -> dict[str, Any]:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selectors", "labels", "added"),
    [
        ([], PLAIN, {}),
        ([{}], PLAIN, {}),
        ([{"matchLabels": {"mesh": "blue"}}], PLAIN, {"mesh": "blue"}),
        ([{"matchLabels": {"mesh": "blue"}}], {"mesh": "blue"}, {}),
        ([{"matchLabels": INJECTED}], INJECTED, {}),
        ([{"matchLabels": INJECTED}], PLAIN, INJECTED),
        ([{"matchLabels": {"istio.io/rev": "canary"}}], PLAIN, {"istio.io/rev": "canary"}),
        ([expression("mesh", "In", "blue", "green")], PLAIN, {"mesh": "blue"}),
        ([expression("mesh", "Exists")], PLAIN, {"mesh": "true"}),
        ([expression("mesh", "NotIn", "other")], PLAIN, {}),
        ([expression("mesh", "DoesNotExist")], PLAIN, {}),
        ([expression("kubernetes.io/metadata.name", "NotIn", "kube-system")], PLAIN, {}),
        ([expression("kubernetes.io/metadata.name", "In", "shop"), {"matchLabels": {"a": "b"}}], PLAIN, {"a": "b"}),
        ([{"matchLabels": {"a": "b"}, **expression("c", "In", "d")}], PLAIN, {"a": "b", "c": "d"}),
    ],
)
def test_labels_are_added_until_a_selector_matches(
    selectors: list[dict[str, Any]], labels: dict[str, str], added: dict[str, str]
) -> None:
    assert added_labels(tuple(selectors), "egress-client", labels) == added


@pytest.mark.parametrize(
    "selector",
    [
        expression("kubernetes.io/metadata.name", "In", "shop"),
        {"matchLabels": {"a": "b"}, **expression("a", "NotIn", "b")},
        expression("istio-egress.dev/run", "DoesNotExist"),
    ],
)
def test_selector_that_no_label_satisfies_is_named_in_one_line(selector: dict[str, Any]) -> None:
    with pytest.raises(ClusterError, match="discoverySelectors") as error:
        added_labels((selector,), "egress-client", {"istio-egress.dev/run": "k3x9q"})
    assert "\n" not in str(error.value)


def test_fact_is_read_as_it_was_written() -> None:
    selectors = [{"matchLabels": {"mesh": "blue"}}]
    assert parsed(described({"discoverySelectors": selectors})) == tuple(selectors)
    assert described({}) == ALL_NAMESPACES
    assert parsed(ALL_NAMESPACES) == parsed("") == ()
    with pytest.raises(ClusterError, match="JSON list"):
        parsed("mesh=blue")


def test_every_namespace_of_the_run_is_selected() -> None:
    facts = MeshFacts({"discovery-selectors": Fact('[{"matchLabels": {"mesh": "blue"}}]')})
    applier = Applier(cast(Api, None), Names("k3x9q", "gw0", mesh=MeshNames.of(facts)))
    manifests = [path for path in fixtures_folder().rglob("*.yaml") if "kind: Namespace" in path.read_text()]
    assert len(manifests) >= 6
    for document in load(manifests):
        if document["kind"] == "Namespace":
            assert applier.rendered(document, "")["metadata"]["labels"]["mesh"] == "blue"
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "other"}}
    assert "mesh" not in applier.rendered(other, "egress-client")["metadata"]["labels"]


def test_pods_that_must_not_be_injected_say_so_themselves() -> None:
    documents = load(fixtures_folder().rglob("*.yaml"))
    plain = {
        each["metadata"]["name"]
        for each in documents
        if each["kind"] == "Namespace" and each["metadata"]["labels"].get("istio-injection") == "disabled"
    }
    assert plain == {"egress-outside", "egress-plain"}
    for document in documents:
        if document["kind"] == "Deployment" and document["metadata"]["namespace"] in plain:
            assert document["spec"]["template"]["metadata"]["labels"]["sidecar.istio.io/inject"] == "false"
