"""Each fact is found out from the objects that a cluster holds: real ones, and the same with one thing changed."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.gateways import OF_GATEWAY_API
from pytest_istio_egress.cluster.facts.objects import Object, selects
from pytest_istio_egress.cluster.facts.table import DETECTORS, FactOverrides, detect_facts
from pytest_istio_egress.cluster.features import DETECT
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.mesh_facts import BY_GATEWAY_API, FACTS, FOUND, RUNS_OWN_GATEWAY, Gateway, MeshFacts

STOCK = list(yaml.safe_load_all((Path(__file__).parent / "meshes" / "stock.yaml").read_text()))


class Objects:
    """What a cluster holds; kinds in `forbidden` may not be listed."""

    def __init__(self, objects: Sequence[Object] = STOCK, forbidden: Sequence[str] = ()) -> None:
        self.held = copy.deepcopy(list(objects))
        self.forbidden = forbidden

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> list[Object]:
        if kind in self.forbidden:
            raise ClusterError(f"{kind} can't be listed: it is forbidden")
        return [
            held
            for held in self.held
            if (held["apiVersion"], held["kind"]) == (api_version, kind)
            and namespace in (None, held["metadata"].get("namespace"))
        ]

    def one(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        found = self.objects(api_version, kind, namespace)
        return next((held for held in found if held["metadata"]["name"] == name), None)

    def held_as(self, kind: str, name: str) -> Object:
        return next(held for held in self.held if (held["kind"], held["metadata"]["name"]) == (kind, name))

    def mesh(self, **settings: Any) -> Objects:
        """Change the mesh's configuration."""
        data = self.held_as("ConfigMap", "istio")["data"]
        data["mesh"] = yaml.safe_dump({**yaml.safe_load(data["mesh"]), **settings})
        return self

    def add(self, api_version: str, kind: str, spec: object, namespace: str = "istio-system") -> Objects:
        metadata = {"name": "added", "namespace": namespace}
        self.held.append({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
        return self

    def revision(self, name: str, tag: str = "") -> Objects:
        """Add a second control plane beside the first, or give it a tag."""
        hooks = copy.deepcopy(self.held_as("MutatingWebhookConfiguration", "istio-sidecar-injector"))
        hooks["metadata"] = {"name": f"istio-{tag or name}", "labels": {"istio.io/rev": name}}
        if tag:
            hooks["metadata"]["labels"]["istio.io/tag"] = tag
        words = {'"default"': f'"{tag or name}"', '"istiod"': f'"istiod-{name}"'}
        hooks["webhooks"] = [
            json.loads(re.sub("|".join(words), lambda word: words[word[0]], json.dumps(hook)))
            for hook in hooks["webhooks"]
            if hook["name"].startswith("rev.")
        ]
        istiod = copy.deepcopy(self.held_as("Deployment", "istiod"))
        istiod["metadata"]["name"] = f"istiod-{name}"
        istiod["metadata"]["labels"]["istio.io/rev"] = name
        config = copy.deepcopy(self.held_as("ConfigMap", "istio"))
        config["metadata"]["name"] = f"istio-{name}"
        self.held += [hooks, istiod, config]
        return self

    def without(self, kind: str, name: str) -> Objects:
        self.held.remove(self.held_as(kind, name))
        return self

    def moved(self) -> Objects:
        """Put all that is in istio-system somewhere else."""
        self.held = json.loads(json.dumps(self.held).replace('"istio-system"', '"istio-control"'))
        return self


def value(objects: Objects, fact: str) -> str:
    return detect_facts(objects, FactOverrides()).value(fact)


def test_every_fact_has_a_detector_and_a_sentence() -> None:
    assert list(DETECTORS) == list(FACTS)


def test_a_mesh_as_it_is_installed_by_default() -> None:
    found = detect_facts(Objects(), FactOverrides())
    assert not [name for name, known in found.facts.items() if known.why]
    assert {known.origin for known in found.facts.values()} == {FOUND}
    assert found.istio.startswith("1.")
    assert found.injection == ("istio-injection", "enabled")
    assert found.gateway == Gateway(
        "istio-system", "istio-egressgateway", {"istio": "egressgateway"}, made_by="istioctl"
    )
    assert MeshFacts.of(json.loads(json.dumps(found.to_mapping()))) == found


CHANGED: dict[str, tuple[str, Callable[[Objects], Objects], str]] = {
    "no mode is Istio's default": ("outbound-mode", lambda mesh: mesh.mesh(outboundTrafficPolicy={}), "ALLOW_ANY"),
    "a mesh-wide Sidecar overrules the mesh": (
        "outbound-mode",
        lambda mesh: mesh.add("networking.istio.io/v1", "Sidecar", {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}),
        "ALLOW_ANY",
    ),
    "a Sidecar for some workloads does not": (
        "mesh-sidecar",
        lambda mesh: mesh.add("networking.istio.io/v1", "Sidecar", {"workloadSelector": {"labels": {"a": "b"}}}),
        "none",
    ),
    "what it imports is said": (
        "mesh-sidecar",
        lambda mesh: mesh.add("networking.istio.io/v1", "Sidecar", {"egress": [{"hosts": ["./*", "istio-system/*"]}]}),
        "added: hosts ./* istio-system/*",
    ),
    "another root namespace": (
        "mutual-tls",
        lambda mesh: mesh.mesh(rootNamespace="root").add(
            "security.istio.io/v1", "PeerAuthentication", {"mtls": {"mode": "STRICT"}}, "root"
        ),
        "STRICT",
    ),
    "JSON": ("access-log", lambda mesh: mesh.mesh(accessLogEncoding="JSON"), "json"),
    "no log": ("access-log", lambda mesh: mesh.mesh(accessLogFile=""), "none"),
    "a log by Telemetry": (
        "access-log",
        lambda mesh: mesh.mesh(accessLogFile="").add("telemetry.istio.io/v1", "Telemetry", {"accessLogging": [{}]}),
        "text (Telemetry)",
    ),
    "DNS capture": (
        "dns-capture",
        lambda mesh: mesh.mesh(defaultConfig={"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}),
        "on",
    ),
    "a trust domain": ("trust-domain", lambda mesh: mesh.mesh(trustDomain="corp.example"), "corp.example"),
    "another namespace": ("control-plane", Objects.moved, "istio-control"),
    "a default beside a revision": ("injection", lambda mesh: mesh.revision("canary"), "istio-injection=enabled"),
}


@pytest.mark.parametrize(("fact", "change", "expected"), CHANGED.values(), ids=CHANGED)
def test_a_change_is_found_out(fact: str, change: Callable[[Objects], Objects], expected: str) -> None:
    assert value(Objects(), fact) != expected or fact in ("mesh-sidecar", "injection")
    assert value(change(Objects()), fact) == expected


def test_a_revision_is_asked_for() -> None:
    found = detect_facts(
        Objects().revision("canary"), FactOverrides(revision="canary", places={"revision": "command line"})
    )
    assert found.injection == ("istio.io/rev", "canary")
    assert (found.istiod, found.mesh_config) == ("istiod-canary", "istio-canary")
    assert found.facts["revision"].origin == "command line"


def test_a_tag_leads_to_its_revision() -> None:
    found = detect_facts(Objects().revision("canary").revision("canary", tag="prod"), FactOverrides(revision="prod"))
    assert found.injection == ("istio.io/rev", "prod")
    assert found.value("revision") == "canary"


def test_the_only_revision_needs_no_word() -> None:
    objects = Objects().revision("canary").without("MutatingWebhookConfiguration", "istio-sidecar-injector")
    assert detect_facts(objects, FactOverrides()).injection == ("istio.io/rev", "canary")


def test_several_revisions_without_a_default_are_told() -> None:
    objects = Objects().revision("blue").revision("green")
    objects.without("MutatingWebhookConfiguration", "istio-sidecar-injector")
    with pytest.raises(ClusterError, match=r"blue, green.*--istio-egress-revision"):
        detect_facts(objects, FactOverrides())
    with pytest.raises(ClusterError, match=r"'red'.*blue, green"):
        detect_facts(objects, FactOverrides(revision="red"))


def helm_gateway(objects: Objects) -> Objects:
    """Make the gateway one of the Helm chart, under another name in another namespace."""
    objects.held = json.loads(json.dumps(objects.held).replace("istio-egressgateway", "tenants-egress"))
    service, pod = (next(one for one in objects.held if one["kind"] == kind) for kind in ("Service", "Pod"))
    for found in (service, pod):
        found["metadata"]["namespace"] = "tenants"
        found["metadata"]["labels"] = {"app": "tenants-egress", "istio": "tenants-egress"}
    service["metadata"]["labels"]["helm.sh/chart"] = "gateway-1.31.0"
    service["spec"]["selector"] = {"app": "tenants-egress", "istio": "tenants-egress"}
    return objects


def test_a_gateway_of_the_helm_chart() -> None:
    gateway = detect_facts(helm_gateway(Objects()), FactOverrides()).gateway
    assert gateway
    assert (gateway.namespace, gateway.service, gateway.made_by) == ("tenants", "tenants-egress", "Helm chart")
    assert gateway.selector == "app=tenants-egress,istio=tenants-egress"


def test_a_gateway_of_the_gateway_api_cannot_serve_istios_own_resources() -> None:
    objects = Objects()
    for found in objects.held:
        if found["kind"] in ("Service", "Pod"):
            found["metadata"]["labels"] = {**found["metadata"]["labels"], OF_GATEWAY_API: "egress"}
    facts = detect_facts(objects, FactOverrides())
    assert facts.gateway
    assert facts.gateway.made_by == BY_GATEWAY_API
    mesh = cast(Mesh, SimpleNamespace(gateway=facts.gateway, facts=facts))
    assert "Gateway API" in (DETECT["egress-gateway"](mesh) or "")


def test_a_gateway_that_is_not_ready_is_none() -> None:
    objects = Objects()
    next(one for one in objects.held if one["kind"] == "Pod")["status"]["conditions"] = []
    assert detect_facts(objects, FactOverrides()).gateway is None
    with pytest.raises(ClusterError, match="no ready gateway"):
        detect_facts(objects, FactOverrides(gateway="istio-system/istio-egressgateway"))


def test_the_gateway_is_as_the_user_chooses() -> None:
    assert detect_facts(Objects(), FactOverrides(gateway="none")).gateway is None
    assert detect_facts(Objects(), FactOverrides(gateway="own")).gateway == RUNS_OWN_GATEWAY
    with pytest.raises(ClusterError, match="no Service exit in the namespace edge"):
        detect_facts(Objects(), FactOverrides(gateway="edge/exit"))


def test_a_gateway_without_a_readable_log_says_so() -> None:
    gateway = detect_facts(Objects().mesh(accessLogFile=""), FactOverrides()).gateway
    assert gateway
    assert not gateway.logs
    silent = Objects().mesh(accessLogFile="").add("telemetry.istio.io/v1", "Telemetry", {"accessLogging": [{}]})
    gateway = detect_facts(silent, FactOverrides()).gateway
    assert gateway
    assert gateway.logs


def test_a_fact_that_may_not_be_read_says_why_and_others_are_there() -> None:
    found = detect_facts(Objects(forbidden=["PeerAuthentication", "Pod"]), FactOverrides())
    assert "forbidden" in found.facts["mutual-tls"].why
    assert "forbidden" in found.facts["egress-gateways"].why
    assert found.gateway is None
    assert found.value("trust-domain") == "cluster.local"


def test_a_fact_that_everything_rests_on_can_be_given_instead() -> None:
    objects = Objects(forbidden=["MutatingWebhookConfiguration"])
    with pytest.raises(ClusterError, match="--istio-egress-fact control-plane="):
        detect_facts(objects, FactOverrides())
    facts = {"control-plane": "istio-system", "injection": "istio-injection=enabled"}
    found = detect_facts(objects, FactOverrides(facts=facts, places={"fact": "ini"}))
    assert found.facts["injection"].origin == "ini"
    assert found.istio == value(Objects(), "istio")


@pytest.mark.parametrize(
    ("operator", "values", "given", "taken"),
    [
        ("In", ["a"], {"k": "a"}, True), ("In", ["a"], {}, False), ("NotIn", ["a"], {}, True),
        ("Exists", None, {"k": ""}, True), ("DoesNotExist", None, {"k": ""}, False),
    ],
)  # fmt: skip
def test_a_selector_means_what_it_means_to_the_api(
    operator: str,
    values: list[str] | None,
    given: dict[str, str],
    taken: bool,  # noqa: FBT001  # pytest hands it over by name
) -> None:
    assert selects({"matchExpressions": [{"key": "k", "operator": operator, "values": values}]}, given) is taken


@pytest.mark.parametrize("setting", ["true", "false"])
def test_istios_own_metrics_take_istios_own_envoy(setting: str) -> None:
    mesh = Objects()
    container = mesh.held_as("Deployment", "istiod")["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [
        {"name": name, "value": setting} for name in ("PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER")
    ]
    reason = DETECT["istio-metrics"](cast(Mesh, SimpleNamespace(facts=detect_facts(mesh, FactOverrides()))))
    assert (reason is None) is (setting == "true")
