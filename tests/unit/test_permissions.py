"""The permissions of a run: they suffice for all manifests, docs/rights.yaml has them, missing ones are listed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from kubernetes import client

from pytest_istio_egress.cli.rights import rights_page
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import load
from pytest_istio_egress.cluster.permissions import (
    AMBIENT,
    RUN,
    SECRETS,
    Action,
    Role,
    actions,
    control_plane_role,
    mesh_wide_role,
    missing_permissions,
    roles,
)
from pytest_istio_egress.cluster.prepared_permissions import PREPARED
from pytest_istio_egress.suite.discovery import fixtures_folder, manifest_files, suite_folder

PAGE = Path(__file__).parents[2] / "docs" / "rights.yaml"
ROLES = roles()


def granted(*of: Role) -> set[tuple[str, str, str]]:
    return {(action.verb, action.group, action.resource) for role in of for action in actions(role)}


def plural(kind: str) -> str:
    name = kind.lower()
    if name.endswith("y") and not name.endswith("ay"):
        return name[:-1] + "ies"
    return name if name.endswith("s") else name + "s"


def actions_for(files: list[Path], verbs: tuple[str, ...]) -> set[tuple[str, str, str]]:
    needed = set()
    for document in load(files):
        group = document["apiVersion"].rpartition("/")[0]
        needed |= {(verb, group, plural(document["kind"])) for verb in verbs}
    return needed


def test_roles_suffice_to_apply_and_delete_all_manifests() -> None:
    files = manifest_files(suite_folder())
    ambient = {file for file in files if file.parent.name == "ambient"}
    cases = actions_for([file for file in files if file not in ambient], ("create", "patch", "delete"))
    environment = actions_for(sorted(fixtures_folder().glob("*.yaml")), ("create", "patch"))
    assert cases | environment <= granted(RUN, SECRETS)
    assert actions_for(sorted(ambient), ("create", "patch", "delete")) <= granted(RUN, SECRETS, AMBIENT)


def test_role_in_prepared_namespaces_suffices_to_apply_find_and_delete_all_manifests() -> None:
    of_role = granted(PREPARED)
    files = [*manifest_files(suite_folder()), *fixtures_folder().glob("*.yaml")]
    needed = actions_for(files, ("get", "list", "create", "patch", "delete"))
    assert {action for action in needed if action[2] != "namespaces"} <= of_role
    assert {verb for verb, _, resource in of_role if resource == "namespaces"} == {"get"}


def test_proxies_may_be_granted_what_the_role_in_prepared_namespaces_has() -> None:
    assert granted(SECRETS) <= granted(PREPARED)


def test_rights_yaml_is_up_to_date() -> None:
    assert PAGE.read_text(encoding="utf-8") == rights_page(ROLES), "istio-egress rights > docs/rights.yaml"


def test_rights_yaml_binds_each_role_to_the_service_account() -> None:
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
        for rule, permission in zip(rules[role.name, role.namespace], role.permissions, strict=True):
            assert rule["apiGroups"] == [permission.group]
            assert rule.get("resourceNames", []) == list(permission.names)


def test_secrets_are_limited_by_name_without_the_role_for_them() -> None:
    for role in (RUN, control_plane_role(), mesh_wide_role()):
        assert all(permission.names for permission in role.permissions if "secrets" in permission.resources)


class Authorizer:
    """Responds to reviews: `rules` are RBAC's, `beyond` has what another authorizer allows."""

    def __init__(self, rules: list[dict[str, Any]], beyond: set[tuple[str, str]] = frozenset()) -> None:  # type: ignore[assignment]  # an empty set that nobody changes
        self.rules = rules
        self.beyond = beyond
        self.reviewed: list[Any] = []

    def create_self_subject_rules_review(self, review: Any) -> object:
        assert review.spec.namespace
        return SimpleNamespace(status=SimpleNamespace(resource_rules=[client.V1ResourceRule(**r) for r in self.rules]))

    def create_self_subject_access_review(self, review: Any) -> object:
        attributes = review.spec.resource_attributes
        self.reviewed.append(attributes)
        return SimpleNamespace(status=SimpleNamespace(allowed=(attributes.verb, attributes.resource) in self.beyond))


def missing_for(authorizer: Authorizer, monkeypatch: pytest.MonkeyPatch, *roles: Any) -> list[Action]:
    monkeypatch.setattr(client, "AuthorizationV1Api", lambda _: authorizer)
    return missing_permissions(cast(Api, SimpleNamespace(client=None)), roles)


def as_rules(*roles: Any) -> list[dict[str, Any]]:
    return [
        {"verbs": list(each.verbs), "api_groups": [each.group], "resources": list(each.resources),
         "resource_names": list(each.names) or None}
        for role in roles for each in role.permissions
    ]  # fmt: skip


def test_administrator_lacks_nothing_without_access_reviews(monkeypatch: pytest.MonkeyPatch) -> None:
    administrator = Authorizer([{"verbs": ["*"], "api_groups": ["*"], "resources": ["*"]}])
    assert missing_for(administrator, monkeypatch, *ROLES) == []
    assert not administrator.reviewed


def test_roles_lack_nothing_of_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    assert missing_for(Authorizer(as_rules(*ROLES)), monkeypatch, *ROLES) == []


def test_each_missing_permission_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule for rule in as_rules(RUN) if "pods/exec" not in rule["resources"]]
    missing = missing_for(Authorizer(rules), monkeypatch, RUN)
    assert [str(action) for action in missing] == [
        f"{verb} pods/exec in all namespaces (ClusterRole istio-egress)" for verb in ("create", "get")
    ]


def test_permission_on_other_names_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = as_rules(control_plane_role())
    rules[1]["resource_names"] = ["another"]
    (action,) = missing_for(Authorizer(rules), monkeypatch, control_plane_role())
    assert (action.verb, action.resource, action.name) == ("get", "configmaps", "istio")
    assert "istio-system" in str(action)


def test_shared_mesh_configuration_is_read_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    own = as_rules(control_plane_role())
    role = control_plane_role("aks-istio-system", "istio", "istio-shared")
    (action,) = missing_for(Authorizer(own), monkeypatch, role)
    assert str(action) == "get configmaps/istio-shared in namespace aks-istio-system (Role istio-egress)"
    assert "resourceNames: [istio, istio-shared]" in rights_page(roles("aks-istio-system", "istio", "istio-shared"))


def test_permission_on_a_subresource_of_all_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    rules = [rule for rule in as_rules(RUN) if "pods/exec" not in rule["resources"]]
    rules.append({"verbs": ["*"], "api_groups": [""], "resources": ["*/exec"]})
    assert missing_for(Authorizer(rules), monkeypatch, RUN) == []


def test_other_authorizers_are_queried(monkeypatch: pytest.MonkeyPatch) -> None:
    beyond = {("patch", "configmaps")}
    authorizer = Authorizer([], beyond)
    assert missing_for(authorizer, monkeypatch, mesh_wide_role()) == []
    (attributes,) = authorizer.reviewed
    assert (attributes.namespace, attributes.name) == ("istio-system", "istio")
