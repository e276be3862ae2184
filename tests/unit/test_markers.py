"""The markers: what they add to a mesh, and what of a proxy's configuration shows that it has one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from pytest_istio_egress.cluster.envoy_filter_markers import EnvoyFilterMarkers
from pytest_istio_egress.cluster.markers import Marker, Markers
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.policy_markers import PolicyMarkers

KINDS: list[Markers] = [EnvoyFilterMarkers(), PolicyMarkers()]


def patches(number: int) -> dict[str, Any]:
    spec = EnvoyFilterMarkers().of_clients(number).resource["spec"]
    return {patch["match"]["context"]: patch["patch"]["value"] for patch in spec["configPatches"]}


@pytest.mark.parametrize("markers", KINDS, ids=lambda markers: markers.kind)
@pytest.mark.parametrize("of", [lambda markers: markers.of_clients, lambda markers: markers.of_gateways])
def test_each_marker_replaces_the_one_before_and_shows_otherwise(
    markers: Markers, of: Callable[[Markers], Callable[[int], Marker]]
) -> None:
    first, second = of(markers)(1), of(markers)(12)
    assert first.resource["metadata"] == second.resource["metadata"]
    assert first.resource != second.resource
    assert first.shown_by[0] != second.shown_by[0]


def test_kind_is_that_of_the_markers_for_clients() -> None:
    assert [markers.of_clients(1).resource["kind"] for markers in KINDS] == [markers.kind for markers in KINDS]


def test_envoy_filter_adds_one_listener_by_which_it_shows() -> None:
    (name,) = {value["name"] for value in patches(1).values()}
    assert f"^{name}$" in EnvoyFilterMarkers().of_clients(1).shown_by[0].path


def test_route_of_the_gateways_envoy_filter_is_included() -> None:
    assert patches(1).keys() == {"SIDECAR_OUTBOUND", "GATEWAY"}
    assert "rds" in str(patches(1)["SIDECAR_OUTBOUND"])
    assert "rds" not in str(patches(1)["GATEWAY"])


def test_policy_denies_nothing_and_shows_by_a_whole_server_name() -> None:
    policy = PolicyMarkers().of_clients(1)
    assert policy.resource["spec"]["action"] == "AUDIT"
    (rule,) = policy.resource["spec"]["rules"]
    (name,) = rule["when"][0]["values"]
    assert policy.shown_by[0].text == f'"{name}"', "istio-egress-marker-1 is a part of istio-egress-marker-12"


def test_policy_shows_only_where_it_is_active_and_no_listener_waits_for_routes() -> None:
    active, none_warming = PolicyMarkers().of_clients(1).shown_by
    assert active.path.endswith("mask=active_state")
    assert none_warming.text.endswith("warming: 0")


def test_gateway_marker_is_for_the_runs_own_gateway_and_shows_by_its_port() -> None:
    names = Names("k3x9q", "gw0")
    gateway = PolicyMarkers().of_gateways(1)
    spec = names.render_manifest(gateway.resource)["spec"]
    assert spec["selector"] == {"gateway": names.namespace("egress-gateway")}
    pattern = re.search("name_regex=(.*)", gateway.shown_by[0].path)
    assert pattern
    assert re.fullmatch(pattern[1], f"0.0.0.0_{spec['servers'][0]['port']['number']}")
