"""Features of the mesh: the ones that a test needs, and the reasons why one is missing."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress import CLIENT, NEIGHBOUR, Hop, Outcome, Probe, blocked_http, get, reached, reached_directly
from pytest_istio_egress.cluster import features
from pytest_istio_egress.cluster.features import (
    DETECTORS,
    PROBED,
    UnknownFeatureError,
    implied,
    missing,
    missing_by_probe,
    missing_of,
)
from pytest_istio_egress.cluster.gateway_log import GatewayLogCheck
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.network_policies import NetworkPolicyCheck
from pytest_istio_egress.cluster.permissions import SECRETS, actions
from pytest_istio_egress.model.case import FEATURES, Case
from pytest_istio_egress.model.mesh_facts import RUNS_OWN_GATEWAY, STOCK_GATEWAY, Fact, MeshFacts, MeshSidecar
from pytest_istio_egress.run_target.prepared_use import NO_NAMESPACES
from pytest_istio_egress.suite.discovery import fixtures_folder

FACTS = MeshFacts()
FIXTURES = fixtures_folder()


def case(*manifests: Path) -> Case:
    return Case(page="page/", summary="A summary", folder=Path(), manifests=manifests, requires=(), outcomes=())


def mesh_with(facts: MeshFacts) -> Mesh:
    return cast(Mesh, SimpleNamespace(api=SimpleNamespace(client=None), facts=facts, grants_in=None))


def test_every_feature_has_a_detector_or_a_probe() -> None:
    assert set(DETECTORS) | PROBED == set(FEATURES)
    assert not set(DETECTORS) & PROBED


def test_unknown_feature_is_an_error_with_the_choices() -> None:
    with pytest.raises(UnknownFeatureError, match=r"unknown feature 'egress-gatway' .*egress-gateway"):
        missing(replace(case(), requires=("egress-gatway",)), mesh_with(FACTS), FIXTURES, {})


def test_probed_feature_is_missing_by_probe_only() -> None:
    needs_policies = replace(case(), requires=("network-policy",))
    assert not missing(needs_policies, mesh_with(FACTS), FIXTURES, {})
    for reason, expected in ((None, {}), ("not enforced", {"network-policy": "not enforced"})):
        check = cast(NetworkPolicyCheck, SimpleNamespace(not_enforced=reason))
        log = cast(GatewayLogCheck, SimpleNamespace(problem="not looked at"))
        assert missing_by_probe(needs_policies, [], mesh_with(FACTS), check, log) == expected


def test_only_what_needs_the_gateways_log_is_skipped_without_it() -> None:
    mesh = mesh_with(MeshFacts(gateway=STOCK_GATEWAY))
    own = mesh_with(MeshFacts(gateway=RUNS_OWN_GATEWAY))
    policies = cast(NetworkPolicyCheck, None)
    log = cast(GatewayLogCheck, SimpleNamespace(problem="it goes to the file /x"))
    at_the_gateway = [(get("http://a.test/"), reached(gateway=Hop(status=200)))]
    at_another = [(get("http://a.test/"), reached(gateway=Hop(at="exit.egress-gateway")))]
    reasons = missing_by_probe(case(), at_the_gateway, mesh, policies, log)
    assert "istio-egressgateway.istio-system is no evidence: it goes to the file /x" in reasons["egress-gateway"]
    assert not missing_by_probe(case(), at_another, mesh, policies, log)
    in_its_body = replace(case(), requires=("egress-gateway",))
    assert missing_by_probe(in_its_body, [], mesh, policies, log)
    assert not missing_by_probe(case(), [], mesh, policies, log)
    assert not missing_by_probe(case(), at_the_gateway, own, policies, log)
    usable = cast(GatewayLogCheck, SimpleNamespace(problem=""))
    assert not missing_by_probe(case(), at_the_gateway, mesh, policies, usable)


def test_only_what_arrives_with_http_1_1_is_skipped_where_the_mesh_upgrades_it() -> None:
    upgraded = mesh_with(MeshFacts(facts={"mesh-settings": Fact("h2UpgradePolicy=UPGRADE")}))
    policies, log = cast(NetworkPolicyCheck, None), cast(GatewayLogCheck, None)

    def lacks(mesh: Mesh, probe: Probe, outcome: Outcome) -> list[str]:
        return list(missing_by_probe(case(), [(probe, outcome.for_probe(probe))], mesh, policies, log))

    http, http_2 = get("http://a.test/"), get("http://a.test:8082/", arguments=["--http2-prior-knowledge"])
    assert lacks(upgraded, http, reached()) == ["http-1.1-upstream"]
    assert not lacks(mesh_with(FACTS), http, reached())
    for probe, outcome in (
        (http, blocked_http()),
        (http, reached_directly()),
        (http_2, reached()),
        (get("https://a.test/"), reached()),
    ):
        assert not lacks(upgraded, probe, outcome)


def test_test_with_a_role_is_skipped_without_the_permission_to_grant_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "role.yaml").write_text("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}")
    (tmp_path / "service.yaml").write_text("{apiVersion: v1, kind: Service}")
    granting, other = case(tmp_path / "role.yaml"), case(tmp_path / "service.yaml")
    assert "secrets-for-proxies" in implied(granting, FACTS, FIXTURES)
    assert "secrets-for-proxies" not in implied(other, FACTS, FIXTURES)
    monkeypatch.setattr(features, "missing_permissions", lambda _api, roles: actions(roles[0]))
    (reason,) = missing(granting, mesh_with(FACTS), FIXTURES, {}).values()
    assert SECRETS.name in reason
    assert not missing(other, mesh_with(FACTS), FIXTURES, {})


@pytest.mark.parametrize(
    ("sidecar", "limits"),
    [
        (None, False),
        (MeshSidecar("default"), False),
        (MeshSidecar("default", ("*/*",)), False),
        (MeshSidecar("default", ("*/*",), "ALLOW_ANY"), False),
        (MeshSidecar("default", ("istio-system/*", "*/*"), "REGISTRY_ONLY"), False),
        (MeshSidecar("default", (), "REGISTRY_ONLY"), False),
        (MeshSidecar("default", ("./*", "istio-system/*")), True),
        (MeshSidecar("default", ("./*", "istio-system/*"), "ALLOW_ANY"), True),
    ],
    ids=str,
)
def test_mesh_sidecar_skips_tests_without_a_sidecar_only_if_it_limits_hosts(
    tmp_path: Path,
    sidecar: MeshSidecar | None,
    limits: bool,  # noqa: FBT001  # pytest hands it over by name
) -> None:
    (tmp_path / "sidecar.yaml").write_text("{apiVersion: networking.istio.io/v1, kind: Sidecar}")
    (tmp_path / "entry.yaml").write_text("{apiVersion: networking.istio.io/v1, kind: ServiceEntry}")
    # As a worker gets it.
    mesh = mesh_with(MeshFacts.of(MeshFacts(sidecar=sidecar).to_mapping()))
    assert bool(missing(case(tmp_path / "entry.yaml"), mesh, FIXTURES, {})) is limits
    assert not missing(case(tmp_path / "entry.yaml", tmp_path / "sidecar.yaml"), mesh, FIXTURES, {})
    assert not missing(case(), mesh, FIXTURES, {}), "without manifests, it is about pods or a user's workloads"


@pytest.mark.parametrize(
    ("sidecar", "overrides"),
    [
        (None, False),
        (MeshSidecar("default", ("*/*",)), False),
        (MeshSidecar("default", ("*/*",), "ALLOW_ANY"), True),
        (MeshSidecar("default", (), "REGISTRY_ONLY"), True),
    ],
    ids=str,
)
def test_mesh_policy_is_missing_only_if_the_mesh_sidecar_has_a_policy(
    sidecar: MeshSidecar | None,
    overrides: bool,  # noqa: FBT001  # pytest hands it over by name
) -> None:
    assert bool(DETECTORS["mesh-policy"](mesh_with(MeshFacts(sidecar=sidecar)))) is overrides


@pytest.mark.parametrize(
    ("selector", "client", "skipped"),
    [
        ("", CLIENT, False),
        ("workloadSelector: {labels: {app: sleep}}", CLIENT, False),
        ("workloadSelector: {labels: {app: sleep}}", "other.egress-client", True),
        ("", NEIGHBOUR, True),
    ],
)
def test_client_outside_of_the_tests_sidecars_is_limited_by_the_mesh_sidecar(
    selector: str, client: str, *, skipped: bool, tmp_path: Path
) -> None:
    manifest = tmp_path / "sidecar.yaml"
    manifest.write_text(
        "{kind: Sidecar, apiVersion: networking.istio.io/v1, metadata: {name: default, namespace: egress-client}, "
        f"spec: {{egress: [{{hosts: [./*]}}], {selector}}}}}"
    )
    mesh = mesh_with(MeshFacts(sidecar=MeshSidecar("default", ("./*",))))
    expectations = [(get("http://a.test/", client=client), reached())]
    policies, log = cast(NetworkPolicyCheck, None), cast(GatewayLogCheck, SimpleNamespace(problem=""))
    own = replace(case(), manifests=(manifest,))
    reasons = missing_by_probe(own, expectations, mesh, policies, log)
    assert ("own-sidecar-scope" in reasons) is skipped
    assert not missing_by_probe(own, expectations, mesh_with(MeshFacts()), policies, log)


def test_own_gateway_implies_the_permission_to_grant_secrets() -> None:
    needs_gateway = replace(case(), requires=("egress-gateway",))
    assert "secrets-for-proxies" not in implied(needs_gateway, FACTS, FIXTURES)
    assert "secrets-for-proxies" in implied(needs_gateway, MeshFacts(gateway=RUNS_OWN_GATEWAY), FIXTURES)


def validation_webhook_reason(webhooks: Any, revision: str = "default") -> str | None:
    def get() -> Any:
        if isinstance(webhooks, Exception):
            raise webhooks
        return SimpleNamespace(to_dict=lambda: {"items": webhooks})

    api = SimpleNamespace(resource=lambda _version, _kind: SimpleNamespace(get=get))
    facts = MeshFacts({"revision": Fact(revision)})
    return DETECTORS["validation-webhook"](cast(Mesh, SimpleNamespace(api=api, facts=facts)))


@pytest.mark.parametrize("name", ["validation.istio.io", "rev.validation.istio.io"])
def test_validation_webhook_is_detected_by_its_name(name: str) -> None:
    assert validation_webhook_reason([{"webhooks": None}, {"webhooks": [{"name": "other.io"}, {"name": name}]}]) is None


@pytest.mark.parametrize("webhooks", [[], [{"webhooks": [{"name": "other.io"}]}]], ids=["none", "other"])
def test_missing_validation_webhook_is_the_reason(webhooks: list[Any]) -> None:
    assert "not installed" in (validation_webhook_reason(webhooks) or "")


def test_unreadable_webhooks_are_the_reason() -> None:
    assert "forbidden" in (validation_webhook_reason(ApiException(status=403, reason="forbidden")) or "")


@pytest.mark.parametrize(("istio", "supported"), [("1.28.10", False), ("1.29.6", False), ("1.30.1", True)])
def test_dynamic_dns_needs_istio_1_30_whatever_the_crd_has(istio: str, supported: bool) -> None:  # noqa: FBT001  # pytest gives it
    crd = SimpleNamespace(get=lambda name: SimpleNamespace(to_dict=lambda: {name: "DYNAMIC_DNS"}))
    api = SimpleNamespace(resource=lambda *_: crd)
    mesh = cast(Mesh, SimpleNamespace(api=api, facts=MeshFacts({"istio": Fact(istio)})))
    assert (DETECTORS["dynamic-dns"](mesh) is None) is supported


@pytest.mark.parametrize(
    ("families", "setting", "reason"),
    [
        ("IPv4", "on", "its pods have only IPv4 addresses"),
        ("IPv6", "off", "its pods have only IPv6 addresses"),
        ("IPv4, IPv6", "off", "ISTIO_DUAL_STACK"),
        ("IPv6, IPv4", "on", ""),
    ],
)
def test_dual_stack_requires_both_families_and_istios_setting(families: str, setting: str, reason: str) -> None:
    facts = MeshFacts(facts={"ip-families": Fact(families), "istio-dual-stack": Fact(setting)})
    why = DETECTORS["dual-stack"](mesh_with(facts))
    assert reason in (why or "")
    assert bool(why) is bool(reason)


def test_namespace_of_a_test_is_refused_with_prepared_namespaces_but_not_that_of_a_fixture(tmp_path: Path) -> None:
    (tmp_path / "namespace.yaml").write_text("{apiVersion: v1, kind: Namespace, metadata: {name: payments}}")
    refused = {"Namespace": NO_NAMESPACES}
    (reason,) = missing(case(tmp_path / "namespace.yaml"), mesh_with(FACTS), FIXTURES, refused).values()
    assert NO_NAMESPACES in reason
    with_gateway = replace(case(), fixtures=("gateway.yaml",))
    assert "Namespace" not in missing_of(with_gateway, FACTS, FIXTURES, refused, lambda _: None)


def test_unknown_mesh_sidecar_skips_tests_without_one(tmp_path: Path) -> None:
    (tmp_path / "entry.yaml").write_text("{apiVersion: networking.istio.io/v1, kind: ServiceEntry}")
    mesh = mesh_with(replace(FACTS, facts={**FACTS.facts, "mesh-sidecar": Fact("", why="cannot list Sidecar")}))
    (reason,) = missing(case(tmp_path / "entry.yaml"), mesh, FIXTURES, {}).values()
    assert "cannot list Sidecar" in reason
