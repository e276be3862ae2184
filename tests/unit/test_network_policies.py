"""The check whether NetworkPolicy is enforced, with a stand-in cluster."""

from pathlib import Path
from typing import Any, cast

import pytest

from pytest_istio_egress.cluster import network_policies
from pytest_istio_egress.cluster.address_names import Addresses
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import Resource
from pytest_istio_egress.cluster.exec_connection import CommandResult
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.network_policies import NetworkPolicyCheck
from pytest_istio_egress.cluster.pods import Pod

FIXTURES = Path(__file__).parents[2] / "fixtures"
TIMED_OUT = 28


class Cluster:
    """A cluster in which a pod has egress or not; it records its objects and the number of requests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, enforces: bool, responds: bool = True) -> None:
        self.enforces = enforces
        self.responds = responds
        self.kinds: list[str] = []
        self.requests = 0
        pod = Pod(namespace="n", name="policy-probe", uid="u", address="10.0.0.9", injected=False, container="curl")
        monkeypatch.setattr(network_policies, "Applier", lambda *_: self)
        monkeypatch.setattr(network_policies, "ready_pod", lambda *_, **__: pod)
        monkeypatch.setattr(network_policies, "run", self.run)

    def rendered(self, document: dict[str, Any], _namespace: str) -> dict[str, Any]:
        return document

    def send(self, sent: dict[str, Any]) -> None:
        self.kinds.append(sent["kind"])

    def remove(self, resources: list[Resource]) -> None:
        removed = {resource.kind for resource in resources}
        self.kinds = [kind for kind in self.kinds if kind not in removed]

    def run(self, *_: object) -> CommandResult:
        self.requests += 1
        cut_off = self.enforces and "NetworkPolicy" in self.kinds
        return CommandResult(stdout="", stderr="", exit=TIMED_OUT if cut_off or not self.responds else 0)


def check() -> NetworkPolicyCheck:
    names = Names("k3x9q", "main", Addresses({"192.0.2.80": "10.96.0.7"}))
    return NetworkPolicyCheck(cast(Api, None), names, lambda: None, FIXTURES, ready=1, timeout=0.05)


def test_pod_that_is_cut_off_shows_enforcement(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, enforces=True)
    assert check().not_enforced is None
    assert cluster.kinds == [], "the probe is still in the cluster"


def test_pod_with_egress_under_the_policy_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, enforces=False)
    assert "does not enforce NetworkPolicy" in (check().not_enforced or "")
    assert cluster.kinds == []


def test_pod_without_egress_before_the_policy_shows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    Cluster(monkeypatch, enforces=True, responds=False)
    assert "cannot test whether" in (check().not_enforced or "")


def test_check_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, enforces=True)
    one = check()
    assert [one.not_enforced for _ in range(2)] == [None, None]
    assert cluster.requests == len(["before the policy", "under it"])
