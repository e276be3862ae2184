"""The ambient data plane: its choice, its feature, its markers, and the outcomes of its probes."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress import AMBIENT as CLIENT
from pytest_istio_egress import Hop, ended_by_waypoint, get, reached_by_waypoint, reached_by_ztunnel
from pytest_istio_egress.cluster import ambient_features
from pytest_istio_egress.cluster.additions import WITH_ENVOY_FILTERS, WITHOUT_ENVOY_FILTERS, Additions
from pytest_istio_egress.cluster.ambient_features import ambient
from pytest_istio_egress.cluster.features import missing_of
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.waypoint_markers import WaypointMarkers
from pytest_istio_egress.cluster.ztunnel_sync import markers, shown_in
from pytest_istio_egress.model.case import AMBIENT, DATA_PLANES, Case
from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts, Ztunnel
from pytest_istio_egress.model.mesh_log import MeshLog
from pytest_istio_egress.model.outcome import Tunnel
from pytest_istio_egress.plugin.collection import outside_data_plane
from pytest_istio_egress.plugin.fixtures import _missing_markers
from pytest_istio_egress.settings.option_table import OPTIONS, Settings
from pytest_istio_egress.suite.discovery import fixtures_folder

PROBE = get("http://api.test:81/headers", client=CLIENT, to=None)


def case(*requires: str) -> Case:
    return Case(page="p/", summary="s", folder=Path("area"), manifests=(), requires=requires, outcomes=())


def item(*requires: str) -> Any:
    def test() -> None: ...

    test.istio_egress_case = case(*requires)  # type: ignore[attr-defined]  # as @documented does
    return SimpleNamespace(function=test)


@pytest.mark.parametrize(
    ("data_plane", "left_out"), [(None, []), ("both", []), ("sidecar", ["ambient"]), ("ambient", ["sidecar"])]
)
def test_chosen_data_plane_leaves_out_the_tests_of_the_other(data_plane: str | None, left_out: list[str]) -> None:
    items = {"sidecar": item("gateway-api"), "ambient": item(AMBIENT), "of the user": SimpleNamespace()}
    found = outside_data_plane(items.values(), data_plane)
    assert [name for name, each in items.items() if each in found] == left_out


@pytest.mark.parametrize(
    ("chosen", "required"), [(None, ()), ("sidecar", ()), ("ambient", (AMBIENT,)), ("both", (AMBIENT,))]
)
def test_chosen_ambient_mode_is_required(chosen: str | None, required: tuple[str, ...]) -> None:
    defaults = {option.name: option.default for option in OPTIONS}
    settings = Settings(places={}, **{**defaults, "data_plane": chosen})
    assert settings.required_features == required


def test_invalid_data_plane_is_an_error() -> None:
    option = next(option for option in OPTIONS if option.name == "data_plane")
    assert [option.complaint(choice) for choice in DATA_PLANES] == ["", "", ""]
    assert "choose from sidecar, ambient, both" in option.complaint("ztunnel")


def mesh(ztunnel: str, istio: str = "1.31", grants_in: str | None = None, log: str = "text") -> Mesh:
    facts = MeshFacts(
        facts={"ambient": Fact(ztunnel), "istio": Fact(istio), "access-log": Fact(log)},
        ztunnel=Ztunnel.parse(ztunnel),
        log=MeshLog.parse(log) if log else None,
    )
    return cast(Mesh, SimpleNamespace(facts=facts, api=None, grants_in=grants_in))


@pytest.fixture
def with_gateway_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ambient_features, "gateway_deployment", lambda _: None)
    monkeypatch.setattr(ambient_features, "missing_permissions", lambda *_: [])


@pytest.mark.usefixtures("with_gateway_api")
@pytest.mark.parametrize(
    ("of", "reason"),
    [
        (mesh("ztunnel in istio-system"), None),
        (mesh("not installed"), "the mesh has no ambient mode (ztunnel: not installed)"),
        (mesh(""), "the mesh has no ambient mode (ztunnel: unknown)"),
        (mesh("ztunnel in istio-system", istio="1.28.3"), "of Istio 1.30 and later, not of 1.28.3"),
        (mesh("ztunnel in istio-system", grants_in="egress-gateway-team-a-gw0"), "prepared ones"),
        (mesh("ztunnel in istio-system", log="json (Telemetry)"), None),
        (mesh("ztunnel in istio-system", log=""), "no evidence: unknown"),
        (mesh("ztunnel in istio-system", log="none"), "which waypoints write, is no evidence: none"),
        (mesh("ztunnel in istio-system", log="custom format"), "no evidence: custom format"),
        (mesh("ztunnel in istio-system", log="provider otel"), "no evidence: provider otel"),
        (mesh("ztunnel in istio-system", log="text, filtered (Telemetry)"), "no evidence: text, filtered"),
    ],
)
def test_feature_is_missing_for_a_reason(of: Mesh, reason: str | None) -> None:
    found = ambient(of)
    assert found == reason or (reason and reason in (found or ""))


@pytest.mark.usefixtures("with_gateway_api")
def test_missing_permission_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ambient_features, "missing_permissions", lambda *_: ["create pods/portforward"])
    assert (ambient(mesh("ztunnel in istio-system")) or "").endswith("missing permission: create pods/portforward")


def test_refused_envoy_filters_are_a_reason() -> None:
    refused = {"EnvoyFilter": "a policy"}
    assert "EnvoyFilter" in missing_of(case(AMBIENT), MeshFacts(), fixtures_folder(), refused, lambda _: None)
    assert not missing_of(case("gateway-api"), MeshFacts(), fixtures_folder(), refused, lambda _: None)


@pytest.mark.parametrize(
    ("required", "additions", "missing"),
    [
        (AMBIENT, WITH_ENVOY_FILTERS, []),
        (AMBIENT, WITHOUT_ENVOY_FILTERS, [AMBIENT]),
        ("gateway-api", WITHOUT_ENVOY_FILTERS, []),
    ],
)
def test_ignored_envoy_filters_are_a_reason(required: str, additions: Additions, missing: list[str]) -> None:
    built: list[bool] = []
    runner = SimpleNamespace(
        case_setup=SimpleNamespace(ensure_environment=lambda: built.append(True)),
        context=SimpleNamespace(environment=SimpleNamespace(additions=additions)),
    )
    assert list(_missing_markers(cast(Any, runner), case(required))) == missing
    assert bool(built) == (required == AMBIENT), "only then the first proxies tell"


def test_only_ambient_cases_are_ambient() -> None:
    assert case(AMBIENT).is_ambient
    assert not case("gateway-api").is_ambient


def dump(namespace: str, number: int) -> dict[str, Any]:
    """The parts of a configuration dump that a ztunnel has after these markers."""
    entry, policy = markers(number)
    host = entry["spec"]["hosts"][0].replace(".test", ".k3x9q.test")
    (rule,) = policy["spec"]["rules"]
    exact = [{"Exact": name} for name in rule["from"][0]["source"]["namespaces"]]
    return {
        "services": [{"namespace": namespace, "hostname": host}],
        "policies": [
            {"namespace": namespace, "name": policy["metadata"]["name"], "rules": [[[{"namespaces": exact}]]]}
        ],
    }


def test_ztunnel_is_in_sync_with_both_markers_of_the_workers_namespace() -> None:
    assert shown_in(dump("ours", 12), "ours", 12)
    assert not shown_in(dump("ours", 12), "ours", 1), "istio-egress-marker-1 is a part of istio-egress-marker-12"
    assert not shown_in(dump("of another worker", 12), "ours", 12)
    assert not shown_in({**dump("ours", 12), "policies": []}, "ours", 12)
    assert not shown_in({}, "ours", 12)


def test_marker_of_ztunnel_denies_nothing() -> None:
    _, policy = markers(1)
    assert policy["spec"]["selector"] == {"matchLabels": {"app": "istio-egress-marker-1"}}


def test_marker_of_waypoint_is_a_listener_with_its_route() -> None:
    marker = WaypointMarkers().of_gateways(3)
    (patch,) = marker.resource["spec"]["configPatches"]
    assert patch["match"] == {"context": "SIDECAR_INBOUND"}
    assert "rds" not in str(patch)
    assert patch["patch"]["value"]["name"] in marker.shown_by[0].path
    assert WaypointMarkers().of_clients(3) == marker


def test_outcomes_are_those_of_the_probed_host() -> None:
    direct = reached_by_ztunnel("second").for_probe(PROBE)
    assert (direct.reached, direct.sidecar, direct.source) == ("second", False, "client")
    assert direct.ztunnel == Tunnel(service="api.test", hbone=False)
    through = reached_by_waypoint().for_probe(PROBE)
    assert through.ztunnel == Tunnel(service="api.test", hbone=True)
    assert through.waypoint == Hop(cluster="inbound-vip|81|http|api.test", at="waypoint.egress-ambient")
    encrypted = reached_by_waypoint().for_probe(get("https://api.test/"))
    assert encrypted.waypoint == Hop(cluster="inbound-vip|443|tcp|api.test", at="waypoint.egress-ambient")


def test_response_of_the_waypoint_is_a_block_if_the_waypoint_itself_made_it() -> None:
    assert ended_by_waypoint(status=403, waypoint=Hop(details="rbac_access_denied_matched_policy[none]")).blocked
    assert not ended_by_waypoint(status=301, waypoint=Hop(details="direct_response")).blocked
    assert not reached_by_waypoint().blocked
