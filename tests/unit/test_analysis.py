"""Faults of a configuration are found by what its resources say, and a right one has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_istio_egress.verdict.analysis import faults
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration

GATEWAY = "exit.istio-system.svc.cluster.local"
ASKED = ClientRequest(namespace="client", labels={"app": "sleep"}, host="api.test", port=80)


def resource(kind: str, name: str, namespace: str = "client", **spec: Any) -> dict[str, Any]:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def entry(name: str = "api", namespace: str = "client", **spec: Any) -> dict[str, Any]:
    ports = [{"number": 80, "name": "http", "protocol": "HTTP"}]
    return resource("ServiceEntry", name, namespace, **{"hosts": ["api.test"], "ports": ports, **spec})


def sidecar(name: str, *hosts: str, **spec: Any) -> dict[str, Any]:
    return resource("Sidecar", name, egress=[{"hosts": list(hosts)}], **spec)


def rule(*routes: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return resource("VirtualService", "api", hosts=["api.test"], http=list(routes), **spec)


def to(host: str, port: int = 80, **more: Any) -> dict[str, Any]:
    return {"route": [{"destination": {"host": host, "port": {"number": port}, **more}}]}


OUT = resource(
    "Gateway", "out", selector={"istio": "exit"}, servers=[{"port": {"number": 80}, "hosts": ["./api.test"]}]
)  # fmt: skip
BOTH_HOPS = rule(
    {"match": [{"gateways": ["mesh"]}], **to(GATEWAY, subset="api")},
    {"match": [{"gateways": ["out"]}], **to("api.test")},
    gateways=["mesh", "out"],
)
SUBSETS = resource("DestinationRule", "exit", host=GATEWAY, subsets=[{"name": "api"}])
RIGHT = Configuration(
    entries=[entry()],
    rules=[BOTH_HOPS],
    destination_rules=[SUBSETS],
    gateways=[OUT],
    sidecars=[sidecar("default", "./*")],
    services={GATEWAY: frozenset({80, 443})},
    gateway_ports={("client", "out"): frozenset({80, 443})},
    secrets={"client": frozenset({"ca"})},
)
SLEEP = {"labels": {"app": "sleep"}}
ELSEWHERE = {**BOTH_HOPS, "spec": {**BOTH_HOPS["spec"], "exportTo": ["~"]}}
TIMEOUT = rule({**to("api.test"), "timeout": "2s"}, gateways=["mesh", "out"])
FOR_NOBODY = resource("DestinationRule", "x", host="apl.test")
ORIGINATES = resource(
    "DestinationRule", "api", host="api.test", trafficPolicy={"tls": {"mode": "SIMPLE", "credentialName": "ca"}}
)
MISSING = resource("DestinationRule", "api", host="api.test", trafficPolicy={"tls": {"credentialName": "no"}})


@pytest.mark.parametrize(
    "right",
    [
        RIGHT,
        replace(RIGHT, entries=[entry(hosts=["*.test"])]),
        replace(RIGHT, entries=[entry(namespace="other", exportTo=["client"])], sidecars=[]),
        replace(RIGHT, entries=[entry(namespace="other")], sidecars=[sidecar("default", "other/api.test")]),
        replace(RIGHT, sidecars=[sidecar("default", "./*"), sidecar("own", "*/*", workloadSelector=SLEEP)]),
        replace(RIGHT, destination_rules=[SUBSETS, ORIGINATES]),
        replace(RIGHT, destination_rules=[SUBSETS, MISSING], secrets={"client": None}),
    ],
)  # fmt: skip
def test_a_right_configuration_has_no_faults(right: Configuration) -> None:
    assert faults(right, ASKED) == []


@pytest.mark.parametrize(
    ("wrong", "about", "says"),
    [
        (replace(RIGHT, entries=[entry(hosts=["other.test"])]), "entry", "no ServiceEntry lists api.test"),
        (replace(RIGHT, entries=[entry(namespace="other", exportTo=["."])]), "entry", "exportTo [.] hides it"),
        (replace(RIGHT, entries=[entry(namespace="other")]), "entry", "Sidecar default in client lets in ./*"),
        (replace(RIGHT, entries=[entry(ports=[{"number": 443}])]), "entry", "for port 443, not for 80"),
        (replace(RIGHT, entries=[entry(), entry("again", resolution="DNS")]), "conflict", "and ServiceEntry again"),
        (replace(RIGHT, sidecars=[sidecar("default", "./*"), sidecar("more", "./*")]), "sidecar", "default and more"),
        (replace(RIGHT, destination_rules=[]), "destination", "subset api"),
        (replace(RIGHT, services={}, destination_rules=[]), "destination", f"{GATEWAY}, which no"),
        (replace(RIGHT, services={GATEWAY: frozenset({443})}), "destination", "port 80 of"),
        (replace(RIGHT, rules=[rule(to("elsewhere"))]), "destination", "elsewhere.client.svc.cluster.local"),
        (replace(RIGHT, gateways=[]), "gateway", "Gateway out, which does not exist"),
        (replace(RIGHT, gateway_ports={("client", "out"): None}), "gateway", "selects no pod (istio=exit)"),
        (replace(RIGHT, gateway_ports={("client", "out"): frozenset({443})}), "gateway", "listens on port 80"),
        (replace(RIGHT, rules=[rule(to("api.test"))]), "gateway", "is bound to Gateway out"),
        (replace(RIGHT, rules=[TIMEOUT]), "timeout", "sets 2s"),
        (replace(RIGHT, rules=[ELSEWHERE]), "rule", "exportTo is [~]"),
        (replace(RIGHT, destination_rules=[SUBSETS, FOR_NOBODY]), "rule", "is for apl.test"),
        (replace(RIGHT, destination_rules=[SUBSETS, MISSING]), "secret", "the Secret no, which client does not have"),
    ],
)  # fmt: skip
def test_a_fault_is_found(wrong: Configuration, about: str, says: str) -> None:
    found = faults(wrong, ASKED)
    assert [fault for fault in found if fault.kind == about and says in fault.text], found
