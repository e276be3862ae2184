"""`istio-egress traffic start` has the options of the suite for its pods."""

from typing import Any

import pytest

from pytest_istio_egress.cli import traffic
from pytest_istio_egress.cli.main import main
from pytest_istio_egress.cluster import api
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.settings.option_table import PLACEMENT_OPTIONS
from pytest_istio_egress.traffic import workloads

WRONG = {
    "image": "foo=registry.example/foo",
    "image_registry": "https://registry.example",
    "pull_secret": "pull",
    "node_selector": "pool",
    "toleration": "a:b",
    "label": "team",
    "annotation": "owner",
    "resource": "cpu=1",
    "user_ids": "mine",
}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Placement]:
    """The placements that traffic was started with, without a cluster."""
    placements: list[Placement] = []

    class StandIn:
        def __init__(self, *_: object) -> None:
            pass

        def start(self, _say: object, _revision: str | None, _data_plane: str | None, placement: Placement) -> None:
            placements.append(placement)

    monkeypatch.setattr(traffic, "chosen_context", lambda *_: (None, None))
    monkeypatch.setattr(api.Api, "of_command", lambda *_: None)
    monkeypatch.setattr(workloads, "Traffic", StandIn)
    return placements


def test_placement_options_reach_the_pods(started: list[Placement]) -> None:
    arguments = [
        "--image=curl=registry.example/curl:8",
        "--image=go-httpbin=registry.example/httpbin:2",
        "--image-registry=registry.example/mirror",
        "--pull-secret=images/pull",
        "--node-selector=pool=mesh",
        "--toleration=pool=mesh:NoSchedule",
        "--toleration=spot",
        "--label=team=payments",
        "--annotation=example.com/owner=team a",
        "--resource=limits.cpu=500m",
        "--user-ids=assigned",
    ]
    assert main(["traffic", "start", *arguments]) == 0
    assert main(["traffic", "start"]) == 0
    assert started == [
        Placement(
            images={"curl": "registry.example/curl:8", "go-httpbin": "registry.example/httpbin:2"},
            image_registry="registry.example/mirror",
            pull_secrets=("images/pull",),
            node_selector={"pool": "mesh"},
            tolerations=("pool=mesh:NoSchedule", "spot"),
            labels={"team": "payments"},
            annotations={"example.com/owner": "team a"},
            resources={"limits.cpu": "500m"},
            user_ids="assigned",
        ),
        Placement(),
    ], "options of one command do not apply to the next"


@pytest.mark.parametrize("option", PLACEMENT_OPTIONS, ids=lambda option: option.name)
def test_invalid_value_has_the_message_of_the_suites_option(
    option: Any, started: list[Placement], capsys: pytest.CaptureFixture[str]
) -> None:
    value = WRONG[option.name]
    with pytest.raises(SystemExit) as ended:
        main(["traffic", "start", f"--{option.name.replace('_', '-')}={value}"])
    assert ended.value.code == 2
    assert option.complaint(value)
    assert capsys.readouterr().err.rstrip().endswith(option.complaint(value))
    assert not started
