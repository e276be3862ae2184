"""The rights of a run: the table grants what the manifests need, the YAML says what the table says, a gap is named."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from kubernetes import client

from pytest_istio_egress.cli.rights import rights_page
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.features import implied, missing
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.permissions import (
    RUN,
    SECRETS,
    Action,
    actions,
    missing_permissions,
    control_plane_role,
    mesh_wide,
    roles,
)
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.mesh_facts import RUNS_OWN_GATEWAY, Fact, MeshFacts
from pytest_istio_egress.suite.discovery import fixtures_folder, manifest_files, suite_folder

FACTS = MeshFacts()
PAGE = Path(__file__).parents[2] / "docs" / "rights.yaml"
ROLES = roles()
GRANTED_ANYWHERE = {(action.verb, action.group, action.resource) for role in (RUN, SECRETS) for action in actions(role)}


def plural(kind: str) -> str:
    name = kind.lower()
    if name.endswith("y") and not name.endswith("ay"):
        return name[:-1] + "ies"
    return name if name.endswith("s") else name + "s"


def needed(files: list[Path], verbs: tuple[str, ...]) -> set[tuple[str, str, str]]:
    found = set()
    for document in load(files):
        group = document["apiVersion"].rpartition("/")[0]
        found |= {(verb, group, plural(document["kind"])) for verb in verbs}
    return found


def test_what_the_manifests_bring_may_be_made_and_removed() -> None:
    cases = needed(manifest_files(suite_folder()), ("create", "patch", "delete"))
    environment = needed(sorted(fixtures_folder().glob("*.yaml")), ("create", "patch"))
    assert cases | environment <= GRANTED_ANYWHERE


def test_the_page_is_as_the_table() -> None:
    assert PAGE.read_text(encoding="utf-8") == rights_page(ROLES), "istio-egress rights > docs/rights.yaml"


def test_the_page_grants_each_role_to_the_service_account() -> None:
    documents = list(yaml.safe_load_all(rights_page(ROLES)))
    bound = {document["roleRef"]["name"] for document in documents if "roleRef" in document}
    assert bound == {role.name for role in ROLES}
    rules = {
        (document["metadata"]["name"], document["metadata"].get("namespace")): document["rules"]
        for document in documents
        if "rules" in document
    }
    assert len(rules) == len(ROLES)
    for role in ROLES:
        for rule, right in zip(rules[role.name, role.namespace], role.rights, strict=True):
            assert rule["apiGroups"] == [right.group]
            assert rule.get("resourceNames", []) == list(right.names)


def test_no_secret_of_others_can_be_read_without_the_role_for_it() -> None:
    for role in (RUN, control_plane_role(), mesh_wide_role()):
        assert all(right.names for right in role.rights if "secrets" in right.resources)


class Authorizer:
    """Answers reviews: `rules` by namespace as RBAC would tell them, `beyond` what another authorizer allows."""

    def __init__(self, rules: list[dict[str, Any]], beyond: set[tuple[str, str]] = frozenset()) -> None:  # type: ignore[assignment]  # an empty set that nobody changes
        self.rules = rules
        self.beyond = beyond
        self.asked: list[Any] = []

    def create_self_subject_rules_review(self, review: Any) -> object:
        assert review.spec.namespace
        return SimpleNamespace(status=SimpleNamespace(resource_rules=[client.V1ResourceRule(**r) for r in self.rules]))

    def create_self_subject_access_review(self, review: Any) -> object:
        attributes = review.spec.resource_attributes
        self.asked.append(attributes)
        return SimpleNamespace(status=SimpleNamespace(allowed=(attributes.verb, attributes.resource) in self.beyond))


def lacking_for(authorizer: Authorizer, monkeypatch: pytest.MonkeyPatch, *roles: Any) -> list[Action]:
    monkeypatch.setattr(client, "AuthorizationV1Api", lambda _: authorizer)
    return missing_permissions(cast(Api, SimpleNamespace(client=None)), roles)


def as_rules(*roles: Any) -> list[dict[str, Any]]:
    return [
        {"verbs": list(right.verbs), "api_groups": [right.group], "resources": list(right.resources),
         "resource_names": list(right.names) or None}
        for role in roles for right in role.rights
    ]  # fmt: skip


def test_an_administrator_lacks_nothing_and_is_asked_once_for_each_role(monkeypatch: pytest.MonkeyPatch) -> None:
    administrator = Authorizer([{"verbs": ["*"], "api_groups": ["*"], "resources": ["*"]}])
    assert lacking_for(administrator, monkeypatch, *ROLES) == []
    assert not administrator.asked


def test_the_roles_themselves_suffice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert lacking_for(Authorizer(as_rules(*ROLES)), monkeypatch, *ROLES) == []


def test_each_missing_right_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule for rule in as_rules(RUN) if "pods/exec" not in rule["resources"]]
    missing_rights = lacking_for(Authorizer(rules), monkeypatch, RUN)
    assert [str(action) for action in missing_rights] == [
        f"{verb} pods/exec in all namespaces (ClusterRole istio-egress)" for verb in ("create", "get")
    ]


def test_a_right_on_some_names_is_none_on_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = as_rules(control_plane_role())
    rules[1]["resource_names"] = ["another"]
    (action,) = lacking_for(Authorizer(rules), monkeypatch, control_plane_role())
    assert (action.verb, action.resource, action.name) == ("get", "configmaps", "istio")
    assert "istio-system" in str(action)


def test_a_right_to_a_part_of_all_resources_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule for rule in as_rules(RUN) if "pods/exec" not in rule["resources"]]
    rules.append({"verbs": ["*"], "api_groups": [""], "resources": ["*/exec"]})
    assert lacking_for(Authorizer(rules), monkeypatch, RUN) == []


def test_another_authorizer_than_rbac_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    beyond = {("patch", "configmaps")}
    authorizer = Authorizer([], beyond)
    assert lacking_for(authorizer, monkeypatch, mesh_wide_role()) == []
    (asked,) = authorizer.asked
    assert (asked.namespace, asked.name) == ("istio-system", "istio")


def case(*manifests: Path) -> Case:
    return Case(
        page="page/", summary="It is said", folder=Path(), manifests=manifests, requires=(), since=None, outcomes=()
    )


def test_a_case_that_grants_rights_is_left_out_where_they_cannot_be_granted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "role.yaml").write_text("{apiVersion: rbac.authorization.k8s.io/v1, kind: Role}")
    (tmp_path / "service.yaml").write_text("{apiVersion: v1, kind: Service}")
    granting, other = case(tmp_path / "role.yaml"), case(tmp_path / "service.yaml")
    assert "secrets-for-proxies" in implied(granting, FACTS)
    assert "secrets-for-proxies" not in implied(other, FACTS)
    monkeypatch.setattr(client, "AuthorizationV1Api", lambda _: Authorizer([]))
    mesh = cast(Mesh, SimpleNamespace(api=SimpleNamespace(client=None), facts=FACTS))
    (why,) = missing(granting, mesh).values()
    assert SECRETS.name in why
    assert not missing(other, mesh)


@pytest.mark.parametrize(
    ("sidecar", "limits"),
    [
        ("none", False),
        ("default: hosts */*", False),
        ("default: hosts ./* istio-system/*", True),
        ("default: outboundTrafficPolicy REGISTRY_ONLY", False),
    ],
)
def test_a_mesh_wide_sidecar_leaves_out_cases_without_one(tmp_path: Path, sidecar: str, limits: bool) -> None:  # noqa: FBT001  # pytest gives it
    (tmp_path / "sidecar.yaml").write_text("{apiVersion: networking.istio.io/v1, kind: Sidecar}")
    (tmp_path / "entry.yaml").write_text("{apiVersion: networking.istio.io/v1, kind: ServiceEntry}")
    mesh = cast(Mesh, SimpleNamespace(facts=MeshFacts({"mesh-sidecar": Fact(sidecar)})))
    assert bool(missing(case(tmp_path / "entry.yaml"), mesh)) is limits
    assert not missing(case(tmp_path / "entry.yaml", tmp_path / "sidecar.yaml"), mesh)
    assert not missing(case(), mesh), "it applies nothing: pods, or a user's own workloads, are what it asks about"


def test_the_runs_own_gateway_takes_rights_to_grant() -> None:
    needs_gateway = replace(case(), requires=("egress-gateway",))
    assert "secrets-for-proxies" not in implied(needs_gateway, FACTS)
    assert "secrets-for-proxies" in implied(needs_gateway, MeshFacts(gateway=RUNS_OWN_GATEWAY))
