"""The embedded target: its settings, its end with the run, and the messages of its failures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError
from pytest_istio_egress.run_target import Prepared, TargetError, embedded
from pytest_istio_egress.run_target.cleanup import release
from pytest_istio_egress.run_target.selection import prepare
from pytest_istio_egress.settings.options import settings


class Clusters:
    """Stands in for the start of clusters; records the specifications."""

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "config"
        self.kubeconfig.write_text("current-context: egress\n")
        self.running: set[str] = set()
        self.asked: dict[str, Any] = {}
        self.ended: list[str] = []

    def up(self, spec: ClusterSpec, progress: Any, **asked: bool) -> EmbeddedCluster:
        progress.note("one of the steps")
        self.asked = {"spec": spec, **asked}
        started = spec.name not in self.running
        notes = ("Envoy is not the pinned one",)
        return EmbeddedCluster(
            spec.name, self.kubeconfig, started, notes, "1.31", "1.40.0", "v1.36.3", self.kubeconfig.parent
        )

    def down(self, name: str) -> bool:
        self.ended.append(name)
        return True


@pytest.fixture
def clusters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clusters:
    made = Clusters(tmp_path)
    monkeypatch.setattr(embedded, "up", made.up)
    monkeypatch.setattr(embedded, "down", made.down)
    return made


def prepared(pytester: pytest.Pytester, said: list[str], *arguments: str) -> Prepared:
    config = pytester.parseconfig("--istio-egress", "--istio-egress-target", "embedded", *arguments)
    return prepare(settings(config), "k3x9qb", said.append)


def test_settings_arrive(pytester: pytest.Pytester, clusters: Clusters) -> None:
    said: list[str] = []
    found = prepared(
        pytester, said, "--istio-egress-envoy=1.36.4", "--istio-egress-istio=abc", "--istio-egress-name=mine",
        "--istio-egress-ip-family=dual",
        "--istio-egress-install-packages",
    )  # fmt: skip
    spec = clusters.asked["spec"]
    assert (spec.name, spec.istio, spec.envoy, spec.ip_family) == ("mine", "abc", "1.36.4", "dual")
    assert clusters.asked["install_packages"] is True
    assert said == ["one of the steps"]
    assert found.kubernetes == "v1.36.3"
    target = found.target
    assert (target.kind, target.kubeconfig, target.context) == ("embedded", clusters.kubeconfig, "egress")
    assert (target.run, target.notes, target.allow_mesh_wide) == ("k3x9qb", ("Envoy is not the pinned one",), True)


def test_what_is_not_asked_for_is_as_the_cluster_has_it(pytester: pytest.Pytester, clusters: Clusters) -> None:
    prepared(pytester, [])
    assert clusters.asked == {"spec": ClusterSpec(), "install_packages": False, "tied_to_caller": True}


def test_a_started_cluster_ends_with_the_run(pytester: pytest.Pytester, clusters: Clusters) -> None:
    release(prepared(pytester, []), lambda _: None)
    assert clusters.ended == [ClusterSpec().name]


def test_a_found_cluster_goes_on(pytester: pytest.Pytester, clusters: Clusters) -> None:
    clusters.running.add(ClusterSpec().name)
    assert prepared(pytester, []).stops_with_run is None


def test_a_kept_cluster_goes_on(pytester: pytest.Pytester, clusters: Clusters) -> None:
    assert prepared(pytester, [], "--istio-egress-keep-cluster").stops_with_run is None
    assert clusters.asked["tied_to_caller"] is False


def test_failure_is_one_line_with_its_remedy(
    pytester: pytest.Pytester, clusters: Clusters, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> EmbeddedCluster:
        raise EmbeddedError("runc is missing\nlog one\nlog two", "apt-get install runc")

    monkeypatch.setattr(embedded, "up", fail)
    said: list[str] = []
    with pytest.raises(TargetError, match=r"^runc is missing \(hint: apt-get install runc\)$"):
        prepared(pytester, said)
    assert said == ["log one", "log two"]
    assert not clusters.ended
    with pytest.raises(TargetError, match="name"):
        prepared(pytester, said, "--istio-egress-name=Not A Name")
