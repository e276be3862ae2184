"""NetworkPolicy as the embedded node enforces it, tested with real packets between pods."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from .conftest import HTTPBIN, Kubectl, pod

pytestmark = pytest.mark.embedded
PATIENCE = 20.0


def policy(namespace: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "tested", "namespace": namespace},
        "spec": spec,
    }


class Pair:
    """A client and a server, and whether the one reaches the other."""

    def __init__(self, kubectl: Kubectl, namespace: str) -> None:
        self.kubectl, self.namespace = kubectl, namespace
        kubectl.apply(pod(namespace, "client"), pod(namespace, "server", HTTPBIN))
        kubectl.ready(namespace, "client", "server")
        self.url = f"http://{kubectl.address(namespace, 'server')}:8080/status/204"

    def reaches(self, url: str | None = None) -> bool:
        command = ("exec", "client", "--", "curl", "-sS", "-o", "/dev/null", "-m1", url or self.url)
        return self.kubectl.run("-n", self.namespace, *command).returncode == 0

    def until(self, *, reached: bool) -> None:
        deadline = time.monotonic() + PATIENCE
        while self.reaches() is not reached:
            assert time.monotonic() < deadline, f"reached stayed {not reached}"

    def apply(self, **spec: object) -> None:
        self.kubectl.apply(policy(self.namespace, spec))


@pytest.fixture
def pair(kubectl: Kubectl, namespace: str) -> Iterator[Pair]:
    found = Pair(kubectl, namespace)
    found.until(reached=True)  # the control: without a policy everything passes
    yield found


def test_ingress_by_label_and_its_removal(pair: Pair) -> None:
    server = {"matchLabels": {"app": "server"}}
    pair.apply(podSelector=server, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}])
    pair.until(reached=False)
    # The kubelet still gets through: a probe's failure would make the pod unready.
    pair.kubectl.ready(pair.namespace, "server")
    pair.kubectl("-n", pair.namespace, "label", "--overwrite", "pod", "client", "app=friend")
    pair.until(reached=True)
    pair.kubectl("-n", pair.namespace, "label", "--overwrite", "pod", "client", "app=client")
    pair.until(reached=False)
    pair.kubectl("-n", pair.namespace, "delete", "networkpolicy", "tested")
    pair.until(reached=True)


def test_ingress_by_named_port_and_namespace(pair: Pair) -> None:
    server = {"matchLabels": {"app": "server"}}
    ours = [{"namespaceSelector": {"matchLabels": {"team": pair.namespace}}}]
    pair.apply(podSelector=server, ingress=[{"from": ours, "ports": [{"port": "other"}]}])
    pair.until(reached=False)
    pair.apply(podSelector=server, ingress=[{"from": ours, "ports": [{"port": "http"}]}])
    pair.until(reached=True)


def test_egress_to_a_block_with_a_hole_and_to_the_api(pair: Pair) -> None:
    client = {"matchLabels": {"app": "client"}}
    server = pair.kubectl.address(pair.namespace, "server")
    pods = {"cidr": "10.244.0.0/16"}
    pair.apply(
        podSelector=client, policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {**pods, "except": [f"{server}/32"]}}]}]
    )
    pair.until(reached=False)
    pair.apply(
        podSelector=client,
        policyTypes=["Egress"],
        egress=[{"to": [{"ipBlock": pods}], "ports": [{"port": 8000, "endPort": 8100}]}],
    )
    pair.until(reached=True)
    # A Service of the node's own is egress as well, though it is not forwarded to another pod.
    api = "https://10.96.0.1/version"
    curl = ("exec", "client", "--", "curl", "-sSk", "-m1", api)
    assert "exit code 28" in pair.kubectl.run("-n", pair.namespace, *curl).stderr
    pair.kubectl("-n", pair.namespace, "delete", "networkpolicy", "tested")
    pair.until(reached=True)
    assert pair.kubectl.run("-n", pair.namespace, *curl).returncode == 0
