"""Each fault of a configuration is reported, and a correct configuration has none."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pytest_istio_egress.verdict.analysis import faults
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration

GATEWAY = "exit.istio-system.svc.cluster.local"
REQUEST = ClientRequest(namespace="client", labels={"app": "sleep"}, host="api.test", port=80)


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
CORRECT = Configuration(
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
    "correct",
    [
        CORRECT,
        replace(CORRECT, entries=[entry(hosts=["*.test"])]),
        replace(CORRECT, entries=[entry(namespace="other", exportTo=["client"])], sidecars=[]),
        replace(CORRECT, entries=[entry(namespace="other")], sidecars=[sidecar("default", "other/api.test")]),
        replace(CORRECT, sidecars=[sidecar("default", "./*"), sidecar("own", "*/*", workloadSelector=SLEEP)]),
        replace(CORRECT, destination_rules=[SUBSETS, ORIGINATES]),
        replace(CORRECT, destination_rules=[SUBSETS, MISSING], secrets={"client": None}),
    ],
)  # fmt: skip
def test_correct_configuration_has_no_faults(correct: Configuration) -> None:
    assert faults(correct, REQUEST) == []


@pytest.mark.parametrize(
    ("faulty", "kind", "text"),
    [
        (replace(CORRECT, entries=[entry(hosts=["other.test"])]), "entry", "no ServiceEntry lists api.test"),
        (
            replace(CORRECT, entries=[entry(namespace="other", exportTo=["."])]),
            "entry",
            "its exportTo [.] does not",
        ),
        (
            replace(CORRECT, entries=[entry(namespace="other")]),
            "entry",
            "hosts of Sidecar default in client are ./*",
        ),
        (replace(CORRECT, entries=[entry(ports=[{"number": 443}])]), "entry", "for port 443, not for 80"),
        (
            replace(CORRECT, entries=[entry(), entry("again", resolution="DNS")]),
            "conflict",
            "define port 80 of",
        ),
        (
            replace(CORRECT, sidecars=[sidecar("default", "./*"), sidecar("more", "./*")]),
            "sidecar",
            "(default and more in client)",
        ),
        (replace(CORRECT, destination_rules=[]), "destination", "subset api"),
        (replace(CORRECT, services={}, destination_rules=[]), "destination", f"{GATEWAY}, which no"),
        (
            replace(CORRECT, services={GATEWAY: frozenset({443})}),
            "destination",
            f"port 80 of {GATEWAY}, whose ports are 443",
        ),
        (replace(CORRECT, rules=[rule(to("elsewhere"))]), "destination", "elsewhere.client.svc.cluster.local"),
        (replace(CORRECT, gateways=[]), "gateway", "Gateway out, which does not exist"),
        (replace(CORRECT, gateway_ports={("client", "out"): None}), "gateway", "selects no pod (istio=exit)"),
        (
            replace(CORRECT, gateway_ports={("client", "out"): frozenset({443})}),
            "gateway",
            "listens on port 80, but",
        ),
        (replace(CORRECT, rules=[rule(to("api.test"))]), "gateway", "is bound to Gateway out"),
        (replace(CORRECT, rules=[TIMEOUT]), "timeout", "sets a timeout of 2s"),
        (replace(CORRECT, rules=[ELSEWHERE]), "rule", "exportTo is [~]"),
        (replace(CORRECT, destination_rules=[SUBSETS, FOR_NOBODY]), "rule", "is for apl.test"),
        (
            replace(CORRECT, destination_rules=[SUBSETS, MISSING]),
            "secret",
            "Secret no, which does not exist in client",
        ),
    ],
)
def test_faulty_configuration_reports_its_fault(faulty: Configuration, kind: str, text: str) -> None:
    reported = faults(faulty, REQUEST)
    assert [fault for fault in reported if fault.kind == kind and text in fault.text], reported
