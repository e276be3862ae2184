"""Which resources apply to a request, and why others do not; a correct configuration has no faults."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from failures import CLIENT, EXIT, GATEWAY_PODS, HOST, configuration, entry, resource, sidecar, to, virtual_service

from pytest_istio_egress.verdict.analysis import destinations, gateways, hosts, letting_through
from pytest_istio_egress.verdict.analysis.configuration import Configuration, MeshSettings
from pytest_istio_egress.verdict.analysis.missing_denials import why_nothing_denies
from pytest_istio_egress.verdict.analysis.virtual_services import lost_delegates, why_no_rule_leads_to

SERVICE = {
    "kind": "Service",
    "metadata": {"name": "istio-egressgateway", "namespace": "istio-system"},
    "spec": {"ports": [{"port": 80, "name": "http2"}]},
}
GATEWAY = resource(
    "Gateway", "out", selector=dict(GATEWAY_PODS.labels), servers=[{"port": {"number": 80}, "hosts": [HOST]}]
)
BOTH_HOPS = virtual_service(
    {"match": [{"gateways": ["mesh"]}], **to(EXIT, subset="partner")},
    {"match": [{"gateways": ["out"]}], **to(HOST)},
    gateways=["mesh", "out"],
)
SUBSETS = resource("DestinationRule", "exit", host=EXIT, subsets=[{"name": "partner"}])
CORRECT = configuration(
    rules=[BOTH_HOPS],
    destination_rules=[SUBSETS],
    gateways=[GATEWAY],
    services=[SERVICE],
    gateway_ports={("client", "out"): frozenset({80, 443})},
)
OF_PODS = sidecar("*/*", name="own", workloadSelector={"labels": CLIENT.labels})
ONLY_A = {"discoverySelectors": [{"matchLabels": {"a": "b"}}]}
SUBSET = f"outbound|80|partner|{EXIT}"


def labelled(document: dict[str, Any], **labels: str) -> dict[str, Any]:
    return {**document, "metadata": {**document["metadata"], "labels": labels}}


def mesh(**raw: Any) -> MeshSettings:
    return MeshSettings(raw=raw)


@pytest.mark.parametrize(
    "correct",
    [
        CORRECT,
        replace(CORRECT, entries=[entry(hosts=["*.test"])]),
        replace(CORRECT, entries=[entry(namespace="other", exportTo=["client"])], sidecars=[]),
        replace(CORRECT, entries=[entry(namespace="other")], sidecars=[sidecar("other/*", "./*", "istio-system/*")]),
        replace(CORRECT, sidecars=[sidecar("~/*"), OF_PODS]),
        replace(CORRECT, sidecars=[sidecar("./*", "istio-system/*", namespace="istio-system")]),
        replace(CORRECT, mesh=mesh(**ONLY_A), namespaces={"client": {"a": "b"}}),
        replace(CORRECT, entries=[labelled(entry(), **{"istio.io/rev": "default"})]),
        replace(CORRECT, gateways=[GATEWAY, resource("Gateway", "in", selector={"istio": "in"}, servers=[
            {"port": {"number": 80}, "hosts": ["*"]}])]),
    ],
)  # fmt: skip
def test_correct_configuration_has_no_faults(correct: Configuration) -> None:
    assert hosts.why_unknown(correct, CLIENT) == ""
    assert destinations.why_no_cluster(correct, SUBSET, CLIENT) == ""
    assert why_no_rule_leads_to(correct, CLIENT, EXIT) == ""
    assert gateways.faults(correct, CLIENT, GATEWAY_PODS) == []


@pytest.mark.parametrize(
    ("cluster", "why"),
    [
        ("inbound-vip|80|http|partner.test", ""),
        ("inbound-vip|80|http/v9|partner.test", "no DestinationRule for partner.test defines the subset v9"),
    ],
)
def test_cluster_of_a_waypoint_has_its_subset_behind_the_protocol(cluster: str, why: str) -> None:
    assert destinations.why_no_cluster(CORRECT, cluster, CLIENT) == why


@pytest.mark.parametrize(
    ("faulty", "text"),
    [
        (replace(CORRECT, entries=[]), "no ServiceEntry lists partner.test"),
        (replace(CORRECT, entries=[entry(namespace="other", exportTo=["."])]), "its exportTo is [.]"),
        (
            replace(CORRECT, entries=[entry(namespace="other")], mesh=mesh(defaultServiceExportTo=["."])),
            "exportTo by default of the mesh is [.]",
        ),
        (
            replace(CORRECT, entries=[entry(namespace="other")]),
            "outside of the egress hosts of Sidecar default in client (./*, istio-system/*)",
        ),
        (
            replace(CORRECT, sidecars=[sidecar("istio-system/*", namespace="istio-system")]),
            "outside of the egress hosts of Sidecar default in istio-system (istio-system/*)",
        ),
        (
            replace(CORRECT, mesh=mesh(**ONLY_A), namespaces={"client": {}}),
            "the mesh's discoverySelectors do not select",
        ),
        (replace(CORRECT, entries=[labelled(entry(), **{"istio.io/rev": "canary"})]), "labelled for revision canary"),
        (replace(CORRECT, entries=[entry(ports=[{"number": 443}])]), "for port 443, not for 80"),
    ],
)
def test_unknown_host_has_its_reason(faulty: Configuration, text: str) -> None:
    assert text in hosts.why_unknown(faulty, CLIENT)


def test_hidden_service_is_not_said_to_need_a_service_entry() -> None:
    rates = {
        "kind": "Service",
        "metadata": {"name": "rates", "namespace": "platform"},
        "spec": {"ports": [{"port": 80}]},
    }
    request = replace(CLIENT, host="rates.platform.svc.cluster.local")
    why = hosts.why_unknown(replace(CORRECT, services=[rates]), request)
    assert why.startswith("Service rates in platform is outside of the egress hosts")
    assert hosts.why_unknown(CORRECT, request) == "there is no Service rates in platform"


@pytest.mark.parametrize("kind", ["ServiceEntry", "Service", "VirtualService", "DestinationRule", "Gateway"])
def test_nothing_is_said_to_be_missing_of_a_kind_that_could_not_be_read(kind: str) -> None:
    empty = Configuration(unread=frozenset({kind}), rules=[] if kind != "Gateway" else [BOTH_HOPS])
    host = EXIT if kind == "Service" else HOST
    texts = [
        hosts.why_unknown(empty, replace(CLIENT, host=host)) if kind in ("ServiceEntry", "Service") else "",
        destinations.why_no_subset(empty, EXIT, "v1", CLIENT) if kind == "DestinationRule" else "",
        why_no_rule_leads_to(empty, CLIENT, EXIT) if kind == "VirtualService" else "",
        *(gateways.faults(empty, CLIENT, GATEWAY_PODS) if kind == "Gateway" else []),
    ]
    assert not any(texts)


@pytest.mark.parametrize(
    ("faulty", "text"),
    [
        (replace(CORRECT, destination_rules=[]), "no DestinationRule for"),
        (
            replace(CORRECT, destination_rules=[resource("DestinationRule", "x", "platform", host=EXIT,
                                                         subsets=[{"name": "partner"}])]),
            "is not looked up for a client in client",
        ),
        (
            replace(CORRECT, destination_rules=[resource("DestinationRule", "x", "istio-system", host=EXIT,
                                                         exportTo=["."], subsets=[{"name": "partner"}])]),
            "is not exported to client",
        ),
        (  # neither exported nor looked up: it is the rule of another client
            replace(CORRECT, destination_rules=[resource("DestinationRule", "x", "platform", host=EXIT,
                                                         exportTo=["."], subsets=[{"name": "partner"}])]),
            "that a client in client can use defines the subset partner",
        ),
        (
            replace(CORRECT, destination_rules=[resource("DestinationRule", "own", host="*.cluster.local"),
                                                resource("DestinationRule", "x", "istio-system", host=EXIT,
                                                         subsets=[{"name": "partner"}])]),
            "but DestinationRule own in client is used",
        ),
        (replace(CORRECT, services=[]), "there is no Service istio-egressgateway in istio-system"),
    ],
)  # fmt: skip
def test_missing_subset_has_its_reason(faulty: Configuration, text: str) -> None:
    assert text in destinations.why_no_cluster(faulty, SUBSET, CLIENT)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([], "no VirtualService for partner.test routes to"),
        ([virtual_service(to(EXIT), gateways=["out"])], "lack `mesh`"),
        ([virtual_service(to(EXIT), namespace="other")], "outside of the egress hosts of Sidecar default"),
        ([virtual_service(to(EXIT), exportTo=["other"])], "is not exported to client"),
        ([virtual_service({"match": [{"port": 443}], **to(EXIT)})], "matches port 443 for sidecars"),
        (
            [virtual_service({"match": [{"gateways": ["out"]}], **to(EXIT)}, gateways=["mesh", "out"])],
            "has no match for",
        ),
    ],
)
def test_gateway_that_no_rule_leads_to_has_its_reason(rules: list[Any], text: str) -> None:
    assert text in why_no_rule_leads_to(replace(CORRECT, rules=rules), CLIENT, EXIT)


@pytest.mark.parametrize(
    ("faulty", "text"),
    [
        (replace(CORRECT, gateways=[]), "Gateway out, which does not exist"),
        (replace(CORRECT, gateway_ports={("client", "out"): None}), "selects no pod (istio=egressgateway)"),
        (replace(CORRECT, gateway_ports={("client", "out"): frozenset({443})}), "listens on port 80, but"),
        (replace(CORRECT, rules=[virtual_service(to(HOST))]), "is bound to Gateway out"),
        (
            replace(CORRECT, rules=[virtual_service(to(HOST), gateways=["out"], exportTo=["."])]),
            "not exported to the gateway",
        ),
        (
            replace(CORRECT, routes=[resource("TLSRoute", "out", hostnames=[HOST], parentRefs=[{"name": "exit"}])]),
            "TLSRoute out in client names the Gateway exit in client, which does not exist",
        ),
    ],
)  # fmt: skip
def test_fault_at_the_gateway_is_reported(faulty: Configuration, text: str) -> None:
    assert [fault for fault in gateways.faults(faulty, CLIENT, GATEWAY_PODS) if text in fault]


def test_route_that_its_parent_did_not_accept_is_reported_with_the_reason_of_its_status() -> None:
    conditions = [{"type": "Accepted", "status": "False", "reason": "NotAllowedByListeners", "message": "no."}]
    route = {
        **resource("TLSRoute", "out", hostnames=[HOST]),
        "status": {"parents": [{"parentRef": {"name": "exit", "namespace": "istio-system"}, "conditions": conditions}]},
    }
    faults = gateways.faults(replace(CORRECT, routes=[route]), CLIENT, GATEWAY_PODS)
    assert faults == [
        "TLSRoute out in client is not attached to Gateway exit in istio-system (NotAllowedByListeners: no)"
    ]


def test_delegate_that_is_not_exported_is_lost() -> None:
    root = virtual_service({"delegate": {"name": "routes", "namespace": "platform"}})
    delegate = resource("VirtualService", "routes", "platform", http=[to(HOST)])
    configured = replace(CORRECT, rules=[root, delegate])
    assert not list(lost_delegates(configured, root))
    closed = replace(configured, mesh=mesh(defaultVirtualServiceExportTo=["."]))
    assert "exportTo by default of the mesh is [.]" in next(lost_delegates(closed, root))


@pytest.mark.parametrize(
    ("open_up", "text"),
    [
        ({"sidecars": [sidecar("./*", outboundTrafficPolicy={"mode": "ALLOW_ANY"})]}, "Sidecar default in client is"),
        ({"sidecars": []}, "the mesh's outboundTrafficPolicy is ALLOW_ANY"),
        (
            {"sidecars": [sidecar("./*", namespace="istio-system", outboundTrafficPolicy={"mode": "ALLOW_ANY"})]},
            "Sidecar default in istio-system is ALLOW_ANY",
        ),
        ({"sidecars": [sidecar("./*")]}, "and Sidecar default in client sets no other"),
        ({"sidecars": [], "mesh": mesh(outboundTrafficPolicy={"mode": "REGISTRY_ONLY"})}, ""),
        ({"sidecars": [sidecar("./*", outboundTrafficPolicy={})]}, ""),
        (
            {"sidecars": [], "mesh": mesh(outboundTrafficPolicy={"mode": "ALLOW_ANY_DYNAMIC_DNS"})},
            "the mesh's outboundTrafficPolicy is ALLOW_ANY_DYNAMIC_DNS",
        ),
    ],
)
def test_policy_that_allows_any_host_is_named(open_up: dict[str, Any], text: str) -> None:
    why = letting_through.why_allow_any(configuration(**open_up), CLIENT)
    assert text in why
    assert bool(text) is bool(why)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ({"action": "AUDIT"}, "has the action AUDIT"),
        ({"selector": {"matchLabels": {"istio": "other"}}}, "selects istio=other"),
        ({"action": "DENY"}, ""),
        ({}, ""),
    ],
)
def test_policy_that_denies_nothing_is_named(kind: dict[str, Any], text: str) -> None:
    policy = resource("AuthorizationPolicy", "who", "istio-system", **kind)
    why = why_nothing_denies(configuration(policies=[policy]), GATEWAY_PODS, HOST, "")
    assert text in why
    assert bool(text) is bool(why)


def _policy(name: str, host: str = HOST, namespace: str = "istio-system", **spec: Any) -> dict[str, Any]:
    rules = [{"to": [{"operation": {"hosts": [host]}}]}]
    return resource("AuthorizationPolicy", name, namespace, rules=rules, **spec)


ELSEWHERE: dict[str, Any] = {"selector": {"matchLabels": {"istio": "ingressgateway"}}}
BY_WHO = "rbac_access_denied_matched_policy[ns[istio-system]-policy[who]-rule[0]]"
BY_NONE = "rbac_access_denied_matched_policy[none]"


@pytest.mark.parametrize(
    ("beside", "documented", "text"),
    [
        ([_policy("who", action="AUDIT")], "", "AuthorizationPolicy who in istio-system has the action AUDIT"),
        ([_policy("who", action="AUDIT")], BY_WHO, "AuthorizationPolicy who in istio-system has the action AUDIT"),
        ([_policy("who", "a.test", action="AUDIT")], "", ""),
        ([_policy("who", "a.test", action="AUDIT")], BY_WHO, "has the action AUDIT"),
        ([_policy("who", action="DENY", **ELSEWHERE)], "", "who in istio-system selects istio=ingressgateway"),
        ([_policy("who", action="DENY", **ELSEWHERE)], BY_WHO, "who in istio-system selects istio=ingressgateway"),
        ([_policy("who", "a.test", action="DENY", **ELSEWHERE)], "", ""),
        ([], BY_WHO, "there is no AuthorizationPolicy who in istio-system"),
        (
            [_policy("who", namespace="client", selector={"matchLabels": dict(GATEWAY_PODS.labels)})],
            BY_WHO,
            "who in client selects their labels, and applies to pods of its own namespace only",
        ),
        ([], "", ""),
        ([_policy("who", action="DENY")], BY_WHO, ""),  # it applies: its rules do not match
        ([_policy("log", action="AUDIT"), _policy("who", action="DENY")], "", ""),  # either may be meant
        ([_policy("who", **ELSEWHERE)], "", ""),  # an ALLOW of the host denies others
        ([_policy("who", **ELSEWHERE)], BY_NONE, "selects istio=ingressgateway"),
        ([_policy("who", **ELSEWHERE), _policy("near")], BY_NONE, ""),
        ([_policy("who", targetRefs=[{"kind": "Gateway", "name": "w"}])], BY_WHO, "is for Gateway w, and not for"),
    ],
)
def test_policy_that_denies_nothing_is_named_beside_others(beside: Any, documented: str, text: str) -> None:
    others = _policy("others", "other.test", action="DENY")
    given = configuration(policies=[others, *beside])
    why = why_nothing_denies(given, GATEWAY_PODS, HOST, documented)
    assert text in why
    assert bool(text) is bool(why)
