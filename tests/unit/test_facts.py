"""Each fact is detected from the objects of a cluster: recorded ones, and the same with one change."""

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
from pytest_istio_egress.cluster.facts.mesh_config import merged
from pytest_istio_egress.cluster.facts.objects import Object
from pytest_istio_egress.cluster.facts.table import DETECTORS, FactOverrides, detect_facts
from pytest_istio_egress.cluster.features import DETECTORS as FEATURE_DETECTORS
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.model.mesh_facts import (
    BY_GATEWAY_API,
    FACTS,
    FOUND,
    ISTIOS_OWN_BUILD,
    OF_GATEWAY_API,
    RUNS_OWN_GATEWAY,
    Gateway,
    MeshFacts,
    MeshSidecar,
)

STOCK = list(yaml.safe_load_all((Path(__file__).parent / "meshes" / "stock.yaml").read_text()))


class Objects:
    """The objects of a cluster; kinds in `forbidden` cannot be listed."""

    def __init__(self, objects: Sequence[Object] = STOCK, forbidden: Sequence[str] = ()) -> None:
        self.held = copy.deepcopy(list(objects))
        self.forbidden = forbidden
        self.proxy: Object | None = None
        """What every proxy says of itself; None where it does not answer."""

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> list[Object]:
        if kind in self.forbidden:
            raise ClusterError(f"cannot list {kind}: it is forbidden")
        return [
            held
            for held in self.held
            if (held["apiVersion"], held["kind"]) == (api_version, kind)
            and namespace in (None, held["metadata"].get("namespace"))
        ]

    def one(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        candidates = self.objects(api_version, kind, namespace)
        return next((held for held in candidates if held["metadata"]["name"] == name), None)

    def server_info(self, namespace: str, pod: str) -> Object | None:
        assert self.one("v1", "Pod", pod, namespace)
        return self.proxy

    def held_as(self, kind: str, name: str) -> Object:
        return next(held for held in self.held if (held["kind"], held["metadata"]["name"]) == (kind, name))

    def mesh(self, **settings: Any) -> Objects:
        """Change the mesh configuration."""
        data = self.held_as("ConfigMap", "istio")["data"]
        data["mesh"] = yaml.safe_dump({**yaml.safe_load(data["mesh"]), **settings})
        return self

    def add(self, api_version: str, kind: str, spec: object, namespace: str = "istio-system") -> Objects:
        metadata = {"name": "added", "namespace": namespace}
        self.held.append({"apiVersion": api_version, "kind": kind, "metadata": metadata, "spec": spec})
        return self

    def revision(self, name: str, tag: str = "") -> Objects:
        """Add a second control plane, or a tag for it."""
        hooks = copy.deepcopy(self.held_as("MutatingWebhookConfiguration", "istio-sidecar-injector"))
        hooks["metadata"] = {"name": f"istio-{tag or name}", "labels": {"istio.io/rev": name}}
        if tag:
            hooks["metadata"]["labels"]["istio.io/tag"] = tag
        replacements = {'"default"': f'"{tag or name}"', '"istiod"': f'"istiod-{name}"'}
        hooks["webhooks"] = [
            json.loads(re.sub("|".join(replacements), lambda match: replacements[match[0]], json.dumps(hook)))
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
        """Move everything from istio-system to another namespace."""
        self.held = json.loads(json.dumps(self.held).replace('"istio-system"', '"istio-control"'))
        return self


def value(objects: Objects, fact: str) -> str:
    return detect_facts(objects, FactOverrides()).value(fact)


def test_every_fact_has_a_detector_and_a_description() -> None:
    assert list(DETECTORS) == list(FACTS)


def test_default_installation_has_all_facts() -> None:
    facts = detect_facts(Objects(), FactOverrides())
    assert not [name for name, fact in facts.facts.items() if fact.why]
    assert {fact.origin for fact in facts.facts.values()} == {FOUND}
    assert facts.istio.startswith("1.")
    assert facts.injection == ("istio-injection", "enabled")
    assert facts.gateway == Gateway(
        "istio-system", "istio-egressgateway", {"istio": "egressgateway"}, made_by="istioctl"
    )
    assert MeshFacts.of(json.loads(json.dumps(facts.to_mapping()))) == facts


def with_pod_addresses(objects: Objects, *addresses: str) -> Objects:
    """Change the addresses of the pods."""
    for each in objects.held:
        if each["kind"] == "Pod":
            each["status"]["podIPs"] = [{"ip": address} for address in addresses]
    return objects


def with_dual_stack(objects: Objects) -> Objects:
    """Configure istiod for both IP families."""
    container = objects.held_as("Deployment", "istiod")["spec"]["template"]["spec"]["containers"][0]
    container["env"] = [*container.get("env", []), {"name": "ISTIO_DUAL_STACK", "value": "true"}]
    return objects


CHANGED: dict[str, tuple[str, Callable[[Objects], Objects], str]] = {
    "default mode": ("outbound-mode", lambda mesh: mesh.mesh(outboundTrafficPolicy={}), "ALLOW_ANY"),
    "mode of the mesh-wide Sidecar": (
        "outbound-mode",
        lambda mesh: mesh.add("networking.istio.io/v1", "Sidecar", {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}),
        "ALLOW_ANY",
    ),
    "Sidecar for some workloads": (
        "mesh-sidecar",
        lambda mesh: mesh.add("networking.istio.io/v1", "Sidecar", {"workloadSelector": {"labels": {"a": "b"}}}),
        "none",
    ),
    "hosts of the mesh-wide Sidecar": (
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
        lambda mesh: mesh.mesh(accessLogFile="").add(
            "telemetry.istio.io/v1", "Telemetry", {"accessLogging": [{"providers": [{"name": "envoy"}]}]}
        ),
        "text (Telemetry)",
    ),
    "a tracing provider in use, and another": (
        "telemetry-services",
        lambda mesh: mesh.mesh(
            extensionProviders=[
                {
                    "name": "zipkin",
                    "zipkin": {"service": "tracing/zipkin.tracing.svc.cluster.local", "port": 1},
                },
                {"name": "unused", "opentelemetry": {"service": "unused.test", "port": 1}},
                {"name": "als", "envoyHttpAls": {"service": "als.test", "port": 1}},
            ],
            defaultProviders={"tracing": ["zipkin"]},
        ).add("telemetry.istio.io/v1", "Telemetry", {"accessLogging": [{"providers": [{"name": "als"}]}]}),
        "als.test, zipkin.tracing.svc.cluster.local",
    ),
    "DNS capture": (
        "dns-capture",
        lambda mesh: mesh.mesh(defaultConfig={"proxyMetadata": {"ISTIO_META_DNS_CAPTURE": "true"}}),
        "on",
    ),
    "discovery selectors": (
        "discovery-selectors",
        lambda mesh: mesh.mesh(discoverySelectors=[{"matchLabels": {"mesh": "blue"}}]),
        '[{"matchLabels": {"mesh": "blue"}}]',
    ),
    "other ports of proxies": (
        "mesh-settings",
        lambda mesh: mesh.mesh(proxyListenPort=15101, proxyInboundListenPort=15006),
        "proxyListenPort=15101",
    ),
    "retries and visibility": (
        "mesh-settings",
        lambda mesh: mesh.mesh(
            defaultHttpRetryPolicy={"attempts": 0, "retryOn": "5xx, reset"},
            serviceEntryVisibility={"applyToSidecars": True},
        ),
        "defaultHttpRetryPolicy.attempts=0 defaultHttpRetryPolicy.retryOn=5xx,reset "
        "serviceEntryVisibility.applyToSidecars=true",
    ),
    "a trust domain": ("trust-domain", lambda mesh: mesh.mesh(trustDomain="corp.example"), "corp.example"),
    "another namespace": ("control-plane", Objects.moved, "istio-control"),
    "pods with IPv6 only": ("ip-families", lambda mesh: with_pod_addresses(mesh, "fd00::7"), "IPv6"),
    "pods of both families": (
        "ip-families",
        lambda mesh: with_pod_addresses(mesh, "10.244.0.7", "fd00::7"),
        "IPv4, IPv6",
    ),
    "dual stack": ("istio-dual-stack", with_dual_stack, "on"),
    "IPv6 first": ("ip-families", lambda mesh: with_pod_addresses(mesh, "fd00::7", "10.244.0.7"), "IPv6, IPv4"),
    "a default beside a revision": ("injection", lambda mesh: mesh.revision("canary"), "istio-injection=enabled"),
}


@pytest.mark.parametrize(("fact", "change", "expected"), CHANGED.values(), ids=CHANGED)
def test_changed_object_changes_its_fact(fact: str, change: Callable[[Objects], Objects], expected: str) -> None:
    assert value(Objects(), fact) != expected or fact in ("mesh-sidecar", "injection")
    assert value(change(Objects()), fact) == expected


def test_families_of_a_managed_control_plane_are_those_of_other_pods() -> None:
    objects = Objects()
    pod = next(each for each in objects.held if each["kind"] == "Pod")
    pod["metadata"]["namespace"] = "kube-system"
    host = copy.deepcopy(pod)
    host["spec"]["hostNetwork"] = True
    host["status"]["podIPs"] = [{"ip": "fd00::1"}]
    objects.held.insert(0, host)
    assert value(objects, "ip-families") == "IPv4"
    objects.held = [each for each in objects.held if each["kind"] != "Pod"]
    facts = detect_facts(objects, FactOverrides())
    assert "no pod in istio-system or kube-system" in facts.facts["ip-families"].why
    assert facts.ip_families == ("IPv4",)


def test_chosen_revision_is_detected() -> None:
    facts = detect_facts(
        Objects().revision("canary"), FactOverrides(revision="canary", places={"revision": "command line"})
    )
    assert facts.injection == ("istio.io/rev", "canary")
    assert (facts.istiod, facts.config_map) == ("istiod-canary", "istio-canary")
    assert facts.facts["revision"].origin == "command line"


def test_tag_leads_to_its_revision() -> None:
    facts = detect_facts(Objects().revision("canary").revision("canary", tag="prod"), FactOverrides(revision="prod"))
    assert facts.injection == ("istio.io/rev", "prod")
    assert facts.value("revision") == "canary"


def test_only_revision_needs_no_setting() -> None:
    objects = Objects().revision("canary").without("MutatingWebhookConfiguration", "istio-sidecar-injector")
    assert detect_facts(objects, FactOverrides()).injection == ("istio.io/rev", "canary")


def test_several_revisions_without_a_default_are_an_error() -> None:
    objects = Objects().revision("blue").revision("green")
    objects.without("MutatingWebhookConfiguration", "istio-sidecar-injector")
    with pytest.raises(ClusterError, match=r"blue, green.*--istio-egress-revision"):
        detect_facts(objects, FactOverrides())
    with pytest.raises(ClusterError, match=r"'red'.*blue, green"):
        detect_facts(objects, FactOverrides(revision="red"))


def helm_gateway(objects: Objects) -> Objects:
    """Turn the gateway into one of the Helm chart, with another name and namespace."""
    objects.held = json.loads(json.dumps(objects.held).replace("istio-egressgateway", "tenants-egress"))
    service, pod = (next(each for each in objects.held if each["kind"] == kind) for kind in ("Service", "Pod"))
    for each in (service, pod):
        each["metadata"]["namespace"] = "tenants"
        each["metadata"]["labels"] = {"app": "tenants-egress", "istio": "tenants-egress"}
    service["metadata"]["labels"]["helm.sh/chart"] = "gateway-1.31.0"
    service["spec"]["selector"] = {"app": "tenants-egress", "istio": "tenants-egress"}
    return objects


def test_gateway_of_the_helm_chart_is_detected() -> None:
    gateway = detect_facts(helm_gateway(Objects()), FactOverrides()).gateway
    assert gateway
    assert (gateway.namespace, gateway.service, gateway.made_by) == ("tenants", "tenants-egress", "Helm chart")
    assert gateway.selector == "app=tenants-egress,istio=tenants-egress"


def test_gateway_of_the_gateway_api_is_no_egress_gateway_feature() -> None:
    objects = Objects()
    for each in objects.held:
        if each["kind"] in ("Service", "Pod"):
            each["metadata"]["labels"] = {**each["metadata"]["labels"], OF_GATEWAY_API: "egress"}
    facts = detect_facts(objects, FactOverrides(gateway="mesh"))
    assert facts.gateway
    assert facts.gateway.made_by == BY_GATEWAY_API
    mesh = cast(Mesh, SimpleNamespace(gateway=facts.gateway, facts=facts))
    assert "Gateway API" in (FEATURE_DETECTORS["egress-gateway"](mesh) or "")
    own = detect_facts(objects, FactOverrides()).gateway
    assert own
    assert own.is_runs_own
    assert "managed by the Gateway API" in own.made_by


def test_gateway_that_is_not_ready_is_not_detected() -> None:
    objects = Objects()
    next(each for each in objects.held if each["kind"] == "Pod")["status"]["conditions"] = []
    assert detect_facts(objects, FactOverrides(gateway="mesh")).gateway is None
    facts = detect_facts(objects, FactOverrides())
    assert facts.own_gateway, "without a gateway of the mesh the run deploys its own"
    assert MeshFacts.of(facts.to_mapping()).own_gateway
    with pytest.raises(ClusterError, match="no ready Istio gateway pod"):
        detect_facts(objects, FactOverrides(gateway="istio-system/istio-egressgateway"))


def test_gateway_setting_overrides_detection() -> None:
    assert detect_facts(Objects(), FactOverrides(gateway="none")).gateway is None
    assert detect_facts(Objects(), FactOverrides(gateway="own")).gateway == RUNS_OWN_GATEWAY
    with pytest.raises(ClusterError, match="no Service exit in namespace edge"):
        detect_facts(Objects(), FactOverrides(gateway="edge/exit"))


def test_unreadable_fact_has_a_reason_and_others_a_value() -> None:
    facts = detect_facts(Objects(forbidden=["PeerAuthentication", "Pod"]), FactOverrides())
    assert "forbidden" in facts.facts["mutual-tls"].why
    assert "forbidden" in facts.facts["egress-gateways"].why
    assert facts.own_gateway
    assert facts.value("trust-domain") == "cluster.local"


def test_essential_fact_can_be_overridden() -> None:
    objects = Objects(forbidden=["MutatingWebhookConfiguration"])
    with pytest.raises(ClusterError, match="--istio-egress-fact control-plane="):
        detect_facts(objects, FactOverrides())
    overrides = {"control-plane": "istio-system", "injection": "istio-injection=enabled"}
    facts = detect_facts(objects, FactOverrides(facts=overrides, places={"fact": "ini"}))
    assert facts.facts["injection"].origin == "ini"
    assert facts.istio == value(Objects(), "istio")


def test_selectors_that_no_label_of_the_run_satisfies_end_the_detection() -> None:
    by_name = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}
    with pytest.raises(ClusterError, match=r'"values": \["shop"\]'):
        detect_facts(Objects().mesh(discoverySelectors=[{"matchExpressions": [by_name]}]), FactOverrides())


def test_mesh_sidecar_is_detected_with_hosts_and_mode() -> None:
    spec = {"egress": [{"hosts": ["*/*"]}], "outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}
    facts = detect_facts(Objects().add("networking.istio.io/v1", "Sidecar", spec), FactOverrides())
    assert facts.sidecar == MeshSidecar("added", ("*/*",), "ALLOW_ANY")
    assert facts.value("mesh-sidecar") == "added: hosts */*, outboundTrafficPolicy ALLOW_ANY"


@pytest.mark.parametrize(
    ("text", "sidecar"),
    [("none", None), ("own: hosts */*, outboundTrafficPolicy ALLOW_ANY", MeshSidecar("own", ("*/*",), "ALLOW_ANY"))],
)
def test_mesh_sidecar_is_overridden_as_data(text: str, sidecar: MeshSidecar | None) -> None:
    objects = Objects().add("networking.istio.io/v1", "Sidecar", {"egress": [{"hosts": ["./*"]}]})
    facts = detect_facts(objects, FactOverrides(facts={"mesh-sidecar": text}))
    assert facts.sidecar == sidecar
    assert facts.value("mesh-sidecar") == text


def test_mesh_sidecar_that_cannot_be_listed_is_unknown() -> None:
    facts = detect_facts(Objects(forbidden=["Sidecar"]), FactOverrides(facts={"outbound-mode": "ALLOW_ANY"}))
    assert facts.sidecar is None
    assert "forbidden" in facts.facts["mesh-sidecar"].why


@pytest.mark.parametrize(("setting", "build"), [("true", ISTIOS_OWN_BUILD), ("false", "upstream Envoy")])
def test_proxy_build_follows_from_settings_for_upstream_envoy(setting: str, build: str) -> None:
    mesh = Objects()
    container = istiod_container(mesh)
    container["env"] = [
        {"name": name, "value": setting} for name in ("PILOT_ENABLE_METADATA_EXCHANGE", "PILOT_ENABLE_ALPN_FILTER")
    ]
    assert detect_facts(mesh, FactOverrides()).value("proxy-build") == build


def istiod_container(mesh: Objects) -> Object:
    containers: list[Object] = mesh.held_as("Deployment", "istiod")["spec"]["template"]["spec"]["containers"]
    return containers[0]


def of_image(image: str, label: str = "") -> Objects:
    """Return the mesh with another image of istiod, and another label app.kubernetes.io/version."""
    mesh = Objects()
    istiod_container(mesh)["image"] = image
    istiod = mesh.held_as("Deployment", "istiod")
    for metadata in (istiod["metadata"], istiod["spec"]["template"].setdefault("metadata", {})):
        metadata.setdefault("labels", {})["app.kubernetes.io/version"] = label
    return mesh


DIGEST = "registry.example:5000/mesh/pilot@sha256:0123"
PROXY = {
    "version": "0123abc/1.38.3/Clean/RELEASE/BoringSSL",
    "node": {
        "id": "router~10.244.0.2~egress-1.istio-system~istio-system.svc.corp.example",
        "metadata": {"ISTIO_VERSION": "1.30.3", "LABELS": {"istio.io/rev": "default"}},
        "extensions": [{"name": "envoy.filters.http.istio_stats"}],
    },
}


@pytest.mark.parametrize(
    ("image", "label", "version"),
    [
        ("docker.io/istio/pilot:1.30.3-distroless", "1.0.0", "1.30.3-distroless"),
        (DIGEST, "1.30.3", "1.30.3"),
        ("registry.example:5000/mesh/pilot:latest", "1.30.3", "1.30.3"),
        ("registry.example/mesh/pilot:2024.1", "1.30.3", "1.30.3"),
        ("registry.example/mesh/pilot:1.0.17", "1.30.3", "1.30.3"),
        ("registry.example/mesh/pilot:2.6.1", "1.30.3", "1.30.3"),
    ],
)
def test_version_is_that_of_a_release(image: str, label: str, version: str) -> None:
    assert value(of_image(image, label), "istio") == version


def test_version_is_that_of_istiods_container() -> None:
    mesh = of_image("docker.io/istio/pilot:1.30.3")
    containers = mesh.held_as("Deployment", "istiod")["spec"]["template"]["spec"]["containers"]
    containers.insert(0, {"name": "vault-agent", "image": "vault:1.99.0", "env": [{"name": "A", "value": "b"}]})
    assert value(mesh, "istio") == "1.30.3"


def test_version_comes_from_a_proxy_where_istiod_does_not_tell_it() -> None:
    mesh = of_image(DIGEST)
    mesh.proxy = PROXY
    assert value(mesh, "istio") == "1.30.3"
    assert value(mesh, "proxies") == "Istio 1.30.3, Envoy 1.38.3"


def test_version_that_nothing_tells_is_asked_for_in_one_line() -> None:
    with pytest.raises(ClusterError, match=r"version of Istio \(or pass --istio-egress-fact istio=VALUE\)") as error:
        detect_facts(of_image(DIGEST), FactOverrides())
    assert "\n" not in str(error.value)
    assert detect_facts(of_image(DIGEST), FactOverrides(facts={"istio": "1.30.3"})).istio == "1.30.3"
    with pytest.raises(ClusterError, match="'newest' is not a release of Istio"):
        detect_facts(of_image(DIGEST), FactOverrides(facts={"istio": "newest"}))


def test_proxy_of_another_revision_tells_nothing() -> None:
    mesh = of_image(DIGEST)
    mesh.proxy = {**PROXY, "node": {**PROXY["node"], "metadata": {"LABELS": {"istio.io/rev": "canary"}}}}  # type: ignore[dict-item]  # a mapping
    assert value(Objects(), "proxies") == "none at hand"
    with pytest.raises(ClusterError, match="nor a proxy"):
        detect_facts(mesh, FactOverrides())


@pytest.mark.parametrize(
    ("name", "build"), [("envoy.filters.http.istio_stats", "Istio's own"), ("x", "upstream Envoy")]
)
def test_build_of_the_proxies_is_read_from_a_proxy(name: str, build: str) -> None:
    mesh = Objects()
    istiod_container(mesh)["env"] = []
    mesh.proxy = {**PROXY, "node": {"extensions": [{"name": name}]}}
    assert value(mesh, "proxy-build") == build


@pytest.mark.parametrize(
    ("version", "setting", "told"),
    [
        ("1.26.8", None, "no (default)"), ("1.26.8", "true", "yes"), ("1.30.3", "false", "no"),
        ("1.30.3", None, "where the kubelets"), ("1.30.3", "auto", "where the kubelets"),
    ],
)  # fmt: skip
def test_native_sidecars_are_told_as_istiod_decides(version: str, setting: str | None, told: str) -> None:
    mesh = of_image(f"docker.io/istio/pilot:{version}")
    istiod_container(mesh)["env"] = [{"name": "ENABLE_NATIVE_SIDECARS", "value": setting}] if setting else []
    assert value(mesh, "native-sidecars").startswith(told)


@pytest.mark.parametrize("arguments", [["discovery", "--domain", "corp.local"], ["discovery", "--domain=corp.local"]])
def test_cluster_domain_is_that_of_istiods_command_line(arguments: list[str]) -> None:
    mesh = Objects()
    istiod_container(mesh)["args"] = arguments
    assert value(mesh, "cluster-domain") == "corp.local"


def test_cluster_domain_is_that_of_a_proxy_without_istiod() -> None:
    mesh = Objects().without("Deployment", "istiod")
    mesh.proxy = PROXY
    assert value(mesh, "cluster-domain") == "corp.example"


def outside(mesh: Objects) -> Objects:
    """Return the mesh with a control plane outside of the cluster: its webhooks are called by URL."""
    mesh.without("Deployment", "istiod")
    for hook in mesh.held_as("MutatingWebhookConfiguration", "istio-sidecar-injector")["webhooks"]:
        hook["clientConfig"] = {"url": "https://istiod.example:15017/inject/cluster/one"}
    mesh.proxy = PROXY
    return mesh


def test_control_plane_outside_of_the_cluster_is_detected() -> None:
    facts = detect_facts(outside(Objects()), FactOverrides())
    assert (facts.istio, facts.control_plane, facts.config_map) == ("1.30.3", "istio-system", "istio")
    assert facts.injection == ("istio-injection", "enabled")


@pytest.mark.parametrize(("label", "gateway"), [("blue", "istio-egressgateway"), ("green", RUNS_OWN_GATEWAY.service)])
def test_gateway_in_a_namespace_that_is_not_discovered_is_of_another_mesh(label: str, gateway: str) -> None:
    mesh = Objects().mesh(discoverySelectors=[{"matchLabels": {"mesh": "blue"}}])
    mesh.held_as("Namespace", "istio-system")["metadata"].setdefault("labels", {})["mesh"] = label
    found = detect_facts(mesh, FactOverrides()).gateway
    assert found is not None
    assert found.service == gateway


def test_settings_of_a_control_plane_outside_of_the_cluster_are_unknown() -> None:
    facts = detect_facts(outside(Objects()), FactOverrides())
    unknown = ["native-sidecars", "istio-dual-stack", "istiod-settings"]  # proxy-build is a running proxy's
    assert [name for name, fact in facts.facts.items() if "tests assume Istio's defaults" in fact.why] == unknown
    assert facts.istiod_setting("PILOT_ENABLE_IP_AUTOALLOCATE") is True
    dual = detect_facts(with_pod_addresses(outside(Objects()), "10.0.0.1", "2001:db8::1"), FactOverrides())
    why = FEATURE_DETECTORS["dual-stack"](cast(Mesh, SimpleNamespace(facts=dual)))
    assert "it is unknown whether Istio is configured for dual stack" in (why or "")


def test_trust_domain_is_that_of_a_proxy_where_the_mesh_configuration_is_elsewhere() -> None:
    mesh = outside(Objects()).without("ConfigMap", "istio")
    assert detect_facts(mesh, FactOverrides()).facts["trust-domain"].why
    mesh.proxy = PROXY
    for pod in (each for each in mesh.held if each["kind"] == "Pod"):
        for container in pod["spec"]["containers"]:
            container["env"] = [{"name": "TRUST_DOMAIN", "value": "corp.example"}]
    assert value(mesh, "trust-domain") == "corp.example"


def test_mesh_without_a_config_map_has_unknown_settings_and_cannot_be_changed() -> None:
    facts = detect_facts(outside(Objects()).without("ConfigMap", "istio"), FactOverrides())
    assert facts.config_map == ""
    assert "no mesh configuration found" in facts.facts["outbound-mode"].why
    mesh = cast(Mesh, SimpleNamespace(facts=facts))
    assert "is unknown" in (FEATURE_DETECTORS["registry-only-mesh"](mesh) or "")
    assert "not in a ConfigMap" in (FEATURE_DETECTORS["mesh-config"](mesh) or "")
    assert facts.value("mutual-tls")  # what lies in other resources is known


def test_config_map_is_the_one_that_istiod_reads_for_the_default_revision_spelled_out() -> None:
    mesh = Objects()
    hooks = mesh.held_as("MutatingWebhookConfiguration", "istio-sidecar-injector")["webhooks"]
    for hook in hooks:
        hook["clientConfig"]["service"]["name"] = "istiod-default"
    unread = copy.deepcopy(mesh.held_as("ConfigMap", "istio"))
    unread["metadata"]["name"] = "istio-default"
    unread["data"]["mesh"] = "outboundTrafficPolicy: {mode: ALLOW_ANY}"
    mesh.held.append(unread)
    facts = detect_facts(mesh, FactOverrides())
    assert (facts.istiod, facts.config_map, facts.outbound_mode) == ("istiod-default", "istio", "REGISTRY_ONLY")


def test_shared_mesh_config_is_overridden_by_the_revisions_own() -> None:
    mesh = Objects()
    istiod_container(mesh)["env"] = [{"name": "SHARED_MESH_CONFIG", "value": "istio-shared"}]
    shared = copy.deepcopy(mesh.held_as("ConfigMap", "istio"))
    shared["metadata"]["name"] = "istio-shared"
    shared["data"]["mesh"] = yaml.safe_dump(
        {"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}, "trustDomain": "corp.example", "accessLogFile": "/dev/stdout"}
    )
    mesh.held.append(shared)
    own = mesh.held_as("ConfigMap", "istio")["data"]
    own["mesh"] = yaml.safe_dump({"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
    assert value(mesh, "outbound-mode") == "REGISTRY_ONLY"
    assert value(mesh, "trust-domain") == "corp.example"
    assert value(mesh, "access-log") == "text"
    facts = detect_facts(mesh, FactOverrides())
    assert (facts.config_map, facts.shared_config_map) == ("istio", "istio-shared")


@pytest.mark.parametrize("text", ["a: [", "just a text"])
def test_mesh_configuration_that_cannot_be_read_is_unknown_with_the_reason(text: str) -> None:
    mesh = Objects()
    mesh.held_as("ConfigMap", "istio")["data"]["mesh"] = text
    why = detect_facts(mesh, FactOverrides()).facts["outbound-mode"].why
    assert "ConfigMap istio in istio-system" in why
    assert "\n" not in why


def test_mesh_configurations_are_merged_as_istiod_does() -> None:
    base = {
        "defaultConfig": {"proxyMetadata": {"A": "1", "B": "1"}, "concurrency": 1},
        "extensionProviders": [{"name": "a", "zipkin": {}}, {"name": "b"}],
        "trustDomainAliases": ["two"],
        "outboundTrafficPolicy": {"mode": "ALLOW_ANY"},
    }
    over = {
        "defaultConfig": {"proxyMetadata": {"B": "2"}},
        "extensionProviders": [{"name": "a", "otel": {}}],
        "trustDomainAliases": ["one"],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }
    assert merged(base, over) == {
        "defaultConfig": {"proxyMetadata": {"A": "1", "B": "2"}, "concurrency": 1},
        "extensionProviders": [{"name": "a", "otel": {}}, {"name": "b"}],
        "trustDomainAliases": ["one", "two"],
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
    }


LOGS: dict[str, tuple[dict[str, Any], list[dict[str, Any]] | None, str]] = {
    "default providers": ({"accessLogFile": "", "defaultProviders": {"accessLogging": ["envoy"]}}, None, "text"),
    "another provider": ({}, [{"providers": [{"name": "otel"}]}], "provider otel (Telemetry)"),
    "both": ({}, [{"providers": [{"name": "envoy"}]}, {"providers": [{"name": "otel"}]}], "text, provider otel (Tel"),
    "a filter": ({}, [{"filter": {"expression": "response.code >= 400"}}], "text, filtered (Telemetry)"),
    "no provider anywhere": ({"accessLogFile": ""}, [{}], "none"),
    "envoy redefined": (
        {"extensionProviders": [{"name": "envoy"}]},
        [{"providers": [{"name": "envoy"}]}],
        "provider e",
    ),
}


@pytest.mark.parametrize(("settings", "telemetry", "told"), LOGS.values(), ids=LOGS)
def test_access_log_is_told_by_all_that_decides_it(
    settings: dict[str, Any], telemetry: list[dict[str, Any]] | None, told: str
) -> None:
    mesh = Objects().mesh(**settings)
    if telemetry:
        mesh.add("telemetry.istio.io/v1", "Telemetry", {"accessLogging": telemetry})
    assert value(mesh, "access-log").startswith(told)
