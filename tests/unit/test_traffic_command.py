"""What `istio-egress traffic start` takes of its pods is what the suite takes of its own, in the same words."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cli import traffic as command
from pytest_istio_egress.cli.main import main
from pytest_istio_egress.cluster import api
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.run_secrets import copy_pull_secrets
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.settings.option_table import PLACEMENT_OPTIONS
from pytest_istio_egress.traffic import workloads

WRONG = {"image": "foo=registry.example/foo", "pull_secret": "pull", "node_selector": "pool", "toleration": "a:b"}


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Placement]:
    """What traffic was started with, where no cluster is."""
    placements: list[Placement] = []

    class Played:
        def __init__(self, *_: object) -> None:
            pass

        def start(self, _say: Callable[[str], None], _revision: str | None, placement: Placement) -> None:
            placements.append(placement)

    monkeypatch.setattr(command, "chosen_context", lambda *_: (None, None))
    monkeypatch.setattr(api, "Api", lambda *_: None)
    monkeypatch.setattr(workloads, "Traffic", Played)
    return placements


def test_each_option_of_the_suites_reaches_the_pods(started: list[Placement]) -> None:
    words = [
        "--image=curl=registry.example/curl:8",
        "--image=go-httpbin=registry.example/httpbin:2",
        "--pull-secret=images/pull",
        "--node-selector=pool=mesh",
        "--toleration=pool=mesh:NoSchedule",
        "--toleration=spot",
    ]
    assert main(["traffic", "start", *words]) == 0
    assert main(["traffic", "start"]) == 0
    assert started == [
        Placement(
            images={"curl": "registry.example/curl:8", "go-httpbin": "registry.example/httpbin:2"},
            pull_secrets=("images/pull",),
            node_selector={"pool": "mesh"},
            tolerations=("pool=mesh:NoSchedule", "spot"),
        ),
        Placement(),
    ], "what was given once does not stay"


@pytest.mark.parametrize("option", PLACEMENT_OPTIONS, ids=lambda option: option.name)
def test_what_is_wrong_is_said_in_the_suites_words(
    option: Any, started: list[Placement], capsys: pytest.CaptureFixture[str]
) -> None:
    value = WRONG[option.name]
    with pytest.raises(SystemExit) as ended:
        main(["traffic", "start", f"--{option.name.replace('_', '-')}={value}"])
    assert ended.value.code == 2
    assert option.complaint(value)
    assert capsys.readouterr().err.rstrip().endswith(option.complaint(value))
    assert not started


class Core:
    """The API of secrets; it has one."""

    def read_namespaced_secret(self, name: str, namespace: str) -> Any:
        if (namespace, name) != ("images", "pull"):
            raise ApiException(status=404, reason="Not Found")
        return SimpleNamespace(data={".dockerconfigjson": "e30="}, type="kubernetes.io/dockerconfigjson")


def applier(applied: list[Any], *secrets: str) -> Any:
    return SimpleNamespace(
        api=SimpleNamespace(core=Core()),
        names=SimpleNamespace(placement=Placement(pull_secrets=secrets)),
        apply=lambda documents, namespace: applied.append((documents[0], namespace)),
    )


def test_a_pull_secret_is_copied_as_it_is() -> None:
    applied: list[Any] = []
    copy_pull_secrets(applier(applied, "images/pull"), "egress-client")
    ((secret, namespace),) = applied
    assert namespace == "egress-client"
    assert secret["metadata"]["name"] == "pull"
    assert secret["type"] == "kubernetes.io/dockerconfigjson"
    assert secret["data"] == {".dockerconfigjson": "e30="}


def test_a_pull_secret_that_is_not_there_is_named() -> None:
    with pytest.raises(ClusterError, match="the pull secret images/nothing can't be read"):
        copy_pull_secrets(applier([], "images/nothing"), "egress-client")
