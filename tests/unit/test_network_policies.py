"""How it is found out whether NetworkPolicy is enforced, with a cluster that is played."""

from pathlib import Path
from typing import Any

import pytest

from pytest_istio_egress.cluster import network_policy_check as enforcement
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.features import DETECT, PROBED
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.network_policies import NetworkPolicyCheck
from pytest_istio_egress.cluster.pods import CommandResult, Pod

FIXTURES = Path(__file__).parents[2] / "fixtures"
TIMED_OUT = 28


class Played:
    """A cluster in which a pod gets out or not; it remembers what is in it and how often it was asked."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, enforces: bool, outside_answers: bool = True) -> None:
        self.enforces = enforces
        self.outside_answers = outside_answers
        self.kinds: list[str] = []
        self.asked = 0
        pod = Pod(namespace="n", name="policy-probe", uid="u", address="10.0.0.9", injected=False, container="curl")
        monkeypatch.setattr(enforcement, "Applier", lambda *_: self)
        monkeypatch.setattr(enforcement, "ready_pod", lambda *_, **__: pod)
        monkeypatch.setattr(enforcement, "run", self.run)

    def resources(self, documents: list[dict[str, Any]], _namespace: str) -> list[str]:
        return [document["kind"] for document in documents]

    def apply(self, documents: list[dict[str, Any]], _namespace: str) -> None:
        self.kinds += [document["kind"] for document in documents]

    def remove(self, kinds: list[str]) -> None:
        self.kinds = [kind for kind in self.kinds if kind not in kinds]

    def run(self, *_: object) -> CommandResult:
        self.asked += 1
        cut_off = self.enforces and "NetworkPolicy" in self.kinds
        return CommandResult(stdout="", stderr="", exit=TIMED_OUT if cut_off or not self.outside_answers else 0)


def probe() -> NetworkPolicyCheck:
    names = Names("k3x9q", "main", {"192.0.2.80": "10.96.0.7"})
    return NetworkPolicyCheck(None, lambda: names, FIXTURES, ready=1, timeout=0.05)  # type: ignore[arg-type]  # nothing is asked of an API


def test_a_pod_that_is_cut_off_shows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, enforces=True)
    assert probe().network_policy is None
    assert played.kinds == [], "the probe is left in the cluster"


def test_a_pod_that_still_gets_out_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, enforces=False)
    assert "does not enforce NetworkPolicy" in (probe().network_policy or "")
    assert played.kinds == []


def test_a_pod_that_never_gets_out_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Played(monkeypatch, enforces=True, outside_answers=False)
    assert "can't be found out" in (probe().network_policy or "")


def test_it_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    played = Played(monkeypatch, enforces=True)
    mesh = Mesh(Api.__new__(Api))
    mesh.network_policy_check = probe()
    assert [DETECT["network-policy"](mesh) for _ in range(2)] == [None, None]
    assert played.asked == len(["before the policy", "under it"])


def test_what_is_probed_is_a_feature_that_is_unknown_before_the_run() -> None:
    mesh = Mesh(Api.__new__(Api))
    assert set(DETECT) >= PROBED
    assert all(DETECT[name](mesh) for name in PROBED)
