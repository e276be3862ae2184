"""Reasons that the analysis gives for users' common mistakes, and its silence where there is no mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from cause_samples import SAMPLES, flagged
from failures import (
    AT_GATEWAY,
    CLIENT,
    CURL,
    EXIT,
    GATEWAY_PODS,
    HOST,
    LINE,
    OVER_GATEWAY,
    REQUEST,
    TO_GATEWAY,
    cluster,
    configuration,
    entry,
    failure,
    gateway_path,
    http_dump,
    resource,
    route,
    sidecar,
    to,
    virtual_service,
)
from mistake_samples import MISTAKE_SAMPLES, TIMEOUT, tcp_path, tls, with_filter

from pytest_istio_egress import Outcome
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.analysis import destinations, gateway_api, gateways
from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.hosts import why_unknown
from pytest_istio_egress.verdict.analysis.mismatches import why_not_taken
from pytest_istio_egress.verdict.analysis.missing_denials import why_nothing_denies
from pytest_istio_egress.verdict.analysis.virtual_services import other_rules, why_no_rule_leads_to
from pytest_istio_egress.verdict.diagnosis import cause
from pytest_istio_egress.verdict.explanation import odd_at_gateway, odd_at_sidecar
from pytest_istio_egress.verdict.proxy_path import Endpoint, Origin, ProxyPath, path_of
from pytest_istio_egress.verdict.proxy_path.listeners import ends_mesh_tls

ADDRESS = "192.0.2.80"
TLS_PATH = replace(tcp_path(), request=replace(REQUEST, tls=True, http=False))
HTTP_PATH = path_of(http_dump([route()], [cluster()]), REQUEST)
SIMPLE = {"tls": {"mode": "SIMPLE"}}


def rule(namespace: str = "client", **spec: Any) -> dict[str, Any]:
    return resource("DestinationRule", "partner", namespace, host=HOST, **spec)


def policy(namespace: str = "istio-system", *, labels: dict[str, str] | None = None, **rules: Any) -> dict[str, Any]:
    return resource(
        "AuthorizationPolicy", "may", namespace,
        selector={"matchLabels": labels or dict(GATEWAY_PODS.labels)}, rules=[rules],
    )  # fmt: skip


OF_CLIENT = policy("client", labels={"app": "sleep"}, to=[{"operation": {"hosts": [HOST]}}])


def from_source(**source: list[str]) -> dict[str, Any]:
    return {"from": [{"source": source}]}


@pytest.mark.parametrize(
    ("entries", "path", "text"),
    [
        ([entry()], TLS_PATH, "declares port 80 as HTTP, and the client speaks TLS to it"),
        ([entry(protocol="HTTPS")], HTTP_PATH, "declares port 80 as HTTPS, and the client speaks HTTP to it"),
        ([entry(protocol="TCP", addresses=["192.0.2.17"])], TLS_PATH, "takes port 80 at 192.0.2.17 only"),
        ([entry(protocol="TLS", addresses=["192.0.3.0/24"])], TLS_PATH, "the client connected to 192.0.2.80"),
        ([entry()], HTTP_PATH, ""),
        ([entry(protocol="TLS")], TLS_PATH, ""),
        ([entry(protocol="TCP", addresses=["192.0.2.0/24"])], TLS_PATH, ""),
        ([entry(addresses=["192.0.2.17"])], HTTP_PATH, ""),
        ([entry()], None, ""),
    ],
)
def test_request_that_an_entry_does_not_take_has_its_reason(entries: Any, path: ProxyPath | None, text: str) -> None:
    why = why_not_taken(configuration(entries=entries), CLIENT, path, ADDRESS)
    assert text in why
    assert bool(why) is bool(text)


@pytest.mark.parametrize(
    ("rules", "text"),
    [
        ([rule(trafficPolicy=SIMPLE)], ""),
        ([], "no DestinationRule applies to partner.test there"),
        ([rule("platform", trafficPolicy=SIMPLE)], "is not looked up for a client in client"),
        ([rule(trafficPolicy=SIMPLE, workloadSelector={"matchLabels": {"app": "other"}})], "selects app=other"),
        (
            [rule(trafficPolicy={"portLevelSettings": [{"port": {"number": 443}, **SIMPLE}]})],
            "sets TLS for port 443 only, and the request is for port 80",
        ),
        (
            [rule(trafficPolicy={**SIMPLE, "portLevelSettings": [{"port": {"number": 80}, "connectionPool": {}}]})],
            "these replace the TLS that it sets for all ports",
        ),
        # Another team's rule: two things keep it from this client.
        ([rule("platform", trafficPolicy=SIMPLE, exportTo=["."])], "no DestinationRule applies"),
    ],
)
def test_missing_origination_of_tls_has_its_reason(rules: Any, text: str) -> None:
    why = destinations.why_no_tls(configuration(destination_rules=rules), HOST, 80, CLIENT)
    assert text in why
    assert bool(why) is bool(text)


def test_nothing_is_said_of_rules_that_could_not_be_read() -> None:
    unread = replace(configuration(), unread=frozenset({"DestinationRule"}))
    assert destinations.why_no_tls(unread, HOST, 80, CLIENT) == ""


def test_listener_for_another_port_is_not_listed_among_the_egress_hosts() -> None:
    only_443 = resource("Sidecar", "default", egress=[{"port": {"number": 443}, "hosts": ["./*"]}, {"hosts": ["x/*"]}])
    assert why_unknown(configuration(sidecars=[only_443]), CLIENT).endswith("in client (x/* for port 80)")
    assert why_unknown(configuration(sidecars=[sidecar("x/*")]), CLIENT).endswith("in client (x/*)")


def by_gateway(kind: str = "http", **spec: Any) -> dict[str, Any]:
    return resource("VirtualService", "partner", "client", hosts=[HOST], **{kind: [to(EXIT)], **spec})


@pytest.mark.parametrize(
    ("entries", "rules", "text"),
    [
        ([entry(protocol="TLS")], [by_gateway()], "has http routes only, which do not apply to port 80"),
        ([entry()], [by_gateway("tls")], "has tls routes only, which do not apply to port 80"),
        ([entry()], [by_gateway()], ""),
        ([entry(protocol="TLS")], [by_gateway("tcp")], ""),
        ([entry(protocol="TLS")], [by_gateway(tls=[to(HOST)])], ""),
        (
            [entry()],
            [resource("VirtualService", "partner", hosts=[HOST], http=[{"delegate": {"name": "lost"}}])],
            "delegates to lost in client, which does not exist",
        ),
        (
            [entry()],
            [
                resource("VirtualService", "partner", hosts=[HOST], http=[{"delegate": {"name": "own"}}]),
                resource("VirtualService", "own", http=[to(EXIT)]),
            ],
            "",
        ),
    ],
)
def test_rule_that_does_not_lead_to_the_gateway_has_its_reason(entries: Any, rules: Any, text: str) -> None:
    why = why_no_rule_leads_to(configuration(entries=entries, rules=rules), CLIENT, EXIT)
    assert text in why
    assert bool(why) is bool(text)


@pytest.mark.parametrize(
    ("match", "text"),
    [
        ({"sourceLabels": {"app": "other"}}, "matches other clients: sourceLabels app=other"),
        ({"sourceNamespace": "other"}, "matches other clients: sourceNamespace other"),
        ({"sourceLabels": dict(CLIENT.labels), "sourceNamespace": CLIENT.namespace}, ""),
        ({"sourceLabels": {"app": "other"}, "gateways": ["mesh"]}, ""),
    ],
)
def test_rule_for_other_clients_has_its_reason(match: Any, text: str) -> None:
    given = configuration(rules=[by_gateway(http=[{"match": [match], **to(EXIT)}])])
    why = why_no_rule_leads_to(given, CLIENT, EXIT)
    assert text in why
    assert bool(why) is bool(text)


def test_host_with_a_dot_at_its_end_is_named_and_capital_letters_are_the_same_host() -> None:
    why = why_unknown(configuration(entries=[entry(hosts=["partner.test."])]), CLIENT)
    assert why.startswith("no ServiceEntry lists partner.test, but ServiceEntry partner in client lists partner.test.")
    assert why_unknown(configuration(entries=[entry(hosts=["Partner.test"])]), CLIENT) == ""
    assert "but" not in why_unknown(configuration(entries=[entry(hosts=["other.test"])]), CLIENT)


def test_only_one_virtual_service_of_a_host_is_used() -> None:
    used = virtual_service(to(HOST), name="first")
    both = configuration(rules=[used, TIMEOUT])
    found = list(other_rules(both, CLIENT, Origin("VirtualService", "first", "client")))
    assert [document["metadata"]["name"] for document, _ in found] == ["partner"]
    assert "sidecars use one VirtualService per host" in found[0][1]
    assert not list(other_rules(both, CLIENT, None))
    assert not list(other_rules(configuration(rules=[used]), CLIENT, Origin("VirtualService", "first", "client")))
    at_gateway = replace(both, rules=[used, virtual_service(to(HOST), gateways=["out"])])
    assert not list(other_rules(at_gateway, CLIENT, Origin("VirtualService", "first", "client")))


def gateway(name: str, protocol: str = "HTTP", number: int = 80, host: str = HOST) -> dict[str, Any]:
    server = {"port": {"number": number, "protocol": protocol}, "hosts": [host]}
    return resource("Gateway", name, selector=dict(GATEWAY_PODS.labels), servers=[server])


def at(number: int | None) -> Any:
    match = {"gateways": ["out"], **({"port": number} if number else {})}
    return virtual_service({"match": [match], **to(HOST)}, gateways=["out"])


@pytest.mark.parametrize(
    ("others", "number", "text"),
    [
        ([], 8080, "matches port 8080 at Gateway out in client, whose servers have port 80"),
        ([], 80, ""),
        ([], None, ""),
        ([gateway("audit", "TCP", host="*")], 80, "Gateway audit in client declares port 80 as TCP, and Gateway out"),
        ([gateway("audit", "HTTP", host="other.test")], 80, ""),
        ([gateway("audit", "TCP", number=443, host="other.test")], 80, ""),
    ],
)
def test_ports_of_the_gateway_have_their_faults(others: Any, number: int | None, text: str) -> None:
    given = configuration(gateways=[gateway("out"), *others], rules=[at(number)])
    found = gateways.faults(given, CLIENT, GATEWAY_PODS)
    assert text in "".join(found)
    assert bool(found) is bool(text)


@pytest.mark.parametrize(
    ("gateways_of_pods", "rules", "named"),
    [
        ([gateway("out"), gateway("public", host="*")], [at(None)], ""),
        ([gateway("out"), gateway("public", number=443, host="*")], [at(None)], ""),
        ([gateway("public", host="*")], [at(None)], ""),  # the rule is for Gateway out, which does not exist
        ([gateway("out"), gateway("copy")], [at(None)], ""),
        ([gateway("public", host="*")], [virtual_service(to(HOST))], "public"),
        ([gateway("out"), gateway("tls", number=443)], [at(None)], "tls"),
    ],
)
def test_gateway_without_a_rule_is_named_only_where_the_host_is_left_to_it(
    gateways_of_pods: Any, rules: Any, named: str
) -> None:
    given = configuration(gateways=gateways_of_pods, rules=rules)
    found = [each for each in gateways.faults(given, CLIENT, GATEWAY_PODS) if each.startswith("no VirtualService")]
    assert found == ([f"no VirtualService for {HOST} is bound to Gateway {named} in client"] if named else [])


@pytest.mark.parametrize(
    ("parent", "text"),
    [
        ({"kind": "ServiceEntry", "name": "partner"}, "the group of a ServiceEntry is networking.istio.io"),
        ({"kind": "ServiceEntry", "group": "networking.istio.io", "name": "partner"}, ""),
        ({"kind": "Service", "group": "", "name": "partner"}, ""),
    ],
)
def test_route_whose_parent_has_another_group_is_attached_to_nothing(parent: Any, text: str) -> None:
    routes = [resource("HTTPRoute", "partner", hostnames=[HOST], parentRefs=[parent])]
    why = "".join(gateway_api.unattached(configuration(routes=routes), HOST))
    assert text in why
    assert bool(why) is bool(text)
    assert not list(gateway_api.unattached(configuration(routes=routes), "other.test"))


def denied(resources: Configuration, **line: Any) -> str:
    given = replace(LINE, status=403, details="rbac_access_denied_matched_policy[none]", **line)
    return cause(
        failure(
            OVER_GATEWAY, line=replace(TO_GATEWAY, status=403), gateway=given, curl=replace(CURL, status=403),
            at_gateway=gateway_path(), resources=resources,
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "authority", "text"),
    [
        (policy(to=[{"operation": {"hosts": [HOST]}}]), f"{HOST}:9092", f"the Host header is {HOST}:9092"),
        (policy(to=[{"operation": {"hosts": [HOST]}}]), HOST, ""),
        (policy(to=[{"operation": {"hosts": [HOST, f"{HOST}:9092"]}}]), f"{HOST}:9092", ""),
        (policy(**from_source(namespaces=["client"])), HOST, "which only mutual TLS shows"),
        (policy(**from_source(ipBlocks=["10.0.0.0/8"])), HOST, ""),
    ],
)
def test_allow_rule_that_does_not_match_has_its_reason(given: Any, authority: str, text: str) -> None:
    stated = denied(configuration(policies=[given]), authority=authority)
    assert "no ALLOW rule matches it" in stated
    assert text in stated
    assert ("AuthorizationPolicy may in istio-system" in stated) is bool(text)


def test_policy_of_another_namespace_does_not_deny_at_the_gateway() -> None:
    elsewhere = policy("client", to=[{"operation": {"hosts": [HOST]}}])
    why = why_nothing_denies(configuration(policies=[elsewhere]), GATEWAY_PODS, HOST, "")
    assert why.startswith("AuthorizationPolicy may in client selects their labels")
    others = policy("client", labels={"app": "x"})
    why = why_nothing_denies(configuration(policies=[others]), GATEWAY_PODS, HOST, "")
    assert "another namespace" not in why


def test_policy_of_the_client_is_no_cause_where_it_is_for_another_host() -> None:
    name = "an AuthorizationPolicy of the client's pod does not apply to what it sends"
    given = MISTAKE_SAMPLES[name]
    other = policy("client", labels={"app": "sleep"}, to=[{"operation": {"hosts": ["other.test"]}}])
    changed = replace(given, context=replace(given.context, configuration=configuration(policies=[other])))
    assert "applies to what the client's pod receives" in cause(given)
    assert "applies to what the client's pod receives" not in cause(changed)


def test_port_taken_by_an_entry_with_the_same_addresses() -> None:
    of_all: dict[str, Any] = {"protocol": "TCP", "addresses": ["192.0.2.0/24"]}
    taker = entry("other", hosts=["other.test"], **of_all)
    given = replace(SAMPLES["another entry takes the port"])
    path = given.context.paths["sidecar"]
    for address, taken in (("192.0.2.0/24", True), ("192.0.3.0/24", False)):
        taker["spec"]["addresses"] = [address]
        listener = {**(path.listener or {}), "name": "192.0.2.0_80"}
        context = replace(
            given.context,
            configuration=configuration(entries=[entry(**of_all), taker]),
            paths={"sidecar": replace(path, listener=listener)},
        )
        assert ("it takes every connection to 192.0.2.0/24" in cause(replace(given, context=context))) is taken


def test_slow_host_to_which_a_connection_came_about_is_not_said_to_be_silent() -> None:
    given = MISTAKE_SAMPLES["the upstream does not answer connections (DC)"]
    connected = replace(given.exchange.sidecar or LINE, upstream_local="10.1.0.1:1")
    stated = cause(replace(given, exchange=replace(given.exchange, sidecar=connected)))
    assert stated.startswith("The client ended the request after 15 s")
    unknown = replace(given.exchange.sidecar or LINE, upstream_local=None)
    assert cause(replace(given, exchange=replace(given.exchange, sidecar=unknown))) == stated


def test_connection_that_ends_before_its_idle_timeout_has_another_cause() -> None:
    given = MISTAKE_SAMPLES["an idle timeout ends a connection of TCP"]
    early = replace(given.exchange.sidecar or LINE, duration=300)
    assert "idle timeout" not in cause(replace(given, exchange=replace(given.exchange, sidecar=early)))


def test_path_that_a_rule_leaves_is_not_said_to_be_rewritten() -> None:
    given = MISTAKE_SAMPLES["a rule rewrites the path for a host that does not know it"]
    assert "/api/get becomes //get" in cause(given)
    plain = path_of(http_dump([route(rule="partner")], [cluster()]), REQUEST)
    kept = replace(given, context=replace(given.context, paths={"sidecar": plain}))
    assert "becomes" not in cause(kept)


def test_host_header_that_a_rule_rewrites_is_not_said_to_be_kept() -> None:
    given = MISTAKE_SAMPLES["a rule sends the request to another host with the Host header of the first"]
    action = {"cluster": "outbound|80||other.test", "host_rewrite_literal": "other.test"}
    rewriting = path_of(http_dump([route(rule="partner", route=action)], [cluster(action["cluster"])]), REQUEST)
    changed = replace(given, context=replace(given.context, paths={"sidecar": rewriting}))
    assert "does not rewrite their Host header" in cause(given)
    assert "does not rewrite their Host header" not in cause(changed)


def test_missing_secret_that_is_in_another_namespace_is_found_there() -> None:
    given = SAMPLES["Secret of a credentialName missing"]
    known = {"client": frozenset({"other"}), "istio-system": frozenset({"partner-ca"})}
    both = replace(given, context=replace(given.context, configuration=configuration(secrets=known)))
    assert "which does not exist in client: there is one in istio-system" in cause(both)
    assert "there is one in" not in cause(given)


def test_declared_protocol_is_named_where_it_makes_the_sidecar_speak_http2() -> None:
    given = SAMPLES["HTTP/2 to a host of HTTP/1.1"]
    declared = replace(given.context, configuration=configuration(entries=[entry(protocol="GRPC")]))
    assert "ServiceEntry partner in client declares port 80 as GRPC" in cause(replace(given, context=declared))
    assert "declares port" not in cause(given)


@pytest.mark.parametrize(("failed", "named"), [("delayed_connect_error:_refused", False), ("connection_timeout", True)])
def test_firewall_is_named_only_where_nothing_answered(failed: str, *, named: bool) -> None:
    assert ("NetworkPolicy" in cause(flagged("UF", failure=failed))) is named


@pytest.mark.parametrize(
    ("ignored", "authority", "host"),
    [(True, f"{HOST}:9092", HOST), (False, f"{HOST}:9092", "block_all"), (True, HOST, HOST), (True, "[::1]:80", None)],
)
def test_port_of_the_host_header_counts_only_where_the_routes_say_so(
    *, ignored: bool, authority: str, host: str | None
) -> None:
    dump = http_dump([route()], [cluster()])
    routes = {"80": {**dump.route_configs["80"], "ignore_port_in_host_matching": ignored}}
    path = path_of(replace(dump, route_configs=routes), replace(REQUEST, authority=authority))
    name = str((path.virtual_host or {}).get("name"))
    assert name.startswith(host or "block_all")


def test_sidecar_of_the_root_namespace_keeps_no_host_from_a_gateway() -> None:
    mesh_wide = sidecar("none/*", namespace="istio-system")
    given = failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, status=503),
        gateway=replace(LINE, status=503, flags="NC", details="cluster_not_found", cluster="-"),
        curl=replace(CURL, status=503),
        at_gateway=path_of(http_dump([route("outbound|8443||partner.test")], listener="0.0.0.0_8080"), AT_GATEWAY),
        resources=configuration(sidecars=[mesh_wide]),
    )
    assert "defines partner.test for port 80, not for 8443" in cause(given)
    assert "egress hosts" not in cause(given)


@pytest.mark.parametrize(
    ("path", "resources", "text"),
    [
        (TLS_PATH, configuration(), "the client already speaks TLS"),
        (HTTP_PATH, configuration(destination_rules=[rule("platform", trafficPolicy=SIMPLE)]), "is not looked up"),
        (HTTP_PATH, configuration(policies=[OF_CLIENT]), "applies to what the client's pod receives"),
        (TLS_PATH, configuration(rules=[TIMEOUT], entries=[entry(protocol="TLS")]), "has http routes only"),
        (HTTP_PATH, configuration(), ""),
    ],
)
def test_explanation_names_what_is_odd(path: ProxyPath, resources: Configuration, text: str) -> None:
    originating = {path.cluster_name: cluster(rule="partner", **tls(authority="x"))}
    dump = replace(path.dump, clusters=originating) if path is TLS_PATH else path.dump
    endpoints = {path.cluster_name: (Endpoint("192.0.2.80:80"),)}
    found = list(odd_at_sidecar(replace(path, dump=replace(dump, endpoints=endpoints)), resources, CLIENT, {}))
    assert text in "; ".join(found)
    assert bool(found) is bool(text)


def test_explanation_of_a_blocked_connection_names_the_protocol() -> None:
    blocked = replace(TLS_PATH, clusters=("BlackHoleCluster",))
    found = list(odd_at_sidecar(blocked, configuration(), CLIENT, {}))
    assert "ServiceEntry partner in client declares port 80 as HTTP, and the client speaks TLS to it" in found


@pytest.mark.parametrize("arrives_by_tls", [True, False])
def test_explanation_names_tls_that_the_gateway_does_not_end(*, arrives_by_tls: bool) -> None:
    path = gateway_path()
    given = replace(path, request=replace(path.request, tls=arrives_by_tls))
    found = "; ".join(odd_at_gateway(given, configuration(), CLIENT, GATEWAY_PODS))
    assert ("what arrives at the gateway is TLS" in found) is arrives_by_tls


def test_hosts_within_the_mesh_may_be_spoken_to_by_istio_mutual() -> None:
    given = MISTAKE_SAMPLES["ISTIO_MUTUAL to a host outside the mesh"]
    inside = replace(given.context, configuration=configuration(entries=[entry(location="MESH_INTERNAL")]))
    assert "ISTIO_MUTUAL" in cause(given)
    assert "ISTIO_MUTUAL" not in cause(replace(given, context=inside))


def test_chain_without_tls_ends_no_mutual_tls() -> None:
    assert not ends_mesh_tls({})


def test_http_rule_is_no_cause_where_the_port_is_read_as_http() -> None:
    given = MISTAKE_SAMPLES["rules for HTTP on a port of another protocol"]
    read = replace(given, context=replace(given.context, configuration=configuration(rules=[TIMEOUT])))
    assert "without reading HTTP" in cause(given)
    assert "without reading HTTP" not in cause(read)


def test_patch_with_the_right_context_is_not_said_to_have_another() -> None:
    given = MISTAKE_SAMPLES["an EnvoyFilter has another context"]
    filters = list(given.configuration.envoy_filters)
    filters[0] = {**filters[0], "spec": {"configPatches": [
        {**filters[0]["spec"]["configPatches"][0], "match": {"context": "SIDECAR_OUTBOUND"}}
    ]}}  # fmt: skip
    changed = replace(given.context, configuration=configuration(envoy_filters=filters))
    assert "Check match.context" in cause(given)
    assert "Check match.context" not in cause(replace(given, context=changed))


def test_header_that_came_is_not_said_to_be_missing() -> None:
    given = MISTAKE_SAMPLES["an EnvoyFilter has another context"]
    other = Difference("client", "response header x-team", "a", "b")
    assert "Check match.context" not in cause(replace(given, differences=(other,)))


def test_host_that_is_to_answer_400_is_not_said_to_reject_the_proxy_protocol() -> None:
    given = MISTAKE_SAMPLES["the PROXY protocol to a host that does not expect it"]
    assert "PROXY protocol" not in cause(replace(given, expected=Outcome(status=400)))
    own = replace(given.exchange, curl=replace(given.curl, body='{"error": "no such account"}'))
    assert "PROXY protocol" not in cause(replace(given, exchange=own))


def test_answer_of_the_host_is_not_explained_by_rules_for_http_that_are_not_read() -> None:
    given = MISTAKE_SAMPLES["rules for HTTP on a port of another protocol"]
    answered = replace(given, exchange=replace(given.exchange, curl=replace(given.curl, status=500)))
    assert "without reading HTTP" not in cause(answered)


def test_only_one_of_two_entries_has_to_take_the_request() -> None:
    both = configuration(entries=[entry(), entry("tls", protocol="TLS")])
    assert why_not_taken(both, CLIENT, TLS_PATH, ADDRESS) == ""
    addressed = [entry(protocol="TCP", addresses=["192.0.2.17"]), entry("all", protocol="TCP")]
    assert why_not_taken(configuration(entries=addressed), CLIENT, TLS_PATH, ADDRESS) == ""


def test_rules_for_tls_of_a_host_are_all_used() -> None:
    used, other = by_gateway("tls"), resource("VirtualService", "more", hosts=[HOST], tls=[to(HOST)])
    tls_entry = configuration(entries=[entry(protocol="TLS")], rules=[used, other])
    assert not list(other_rules(tls_entry, CLIENT, Origin("VirtualService", "partner", "client")))
    with_tls = configuration(rules=[TIMEOUT, other])
    assert not list(other_rules(with_tls, CLIENT, Origin("VirtualService", "partner", "client")))


def test_tls_of_the_mesh_at_the_gateway_is_not_taken_for_the_clients() -> None:
    given = MISTAKE_SAMPLES["TLS originated for a client that speaks TLS itself"]
    plain = replace(given.context.paths["sidecar"], request=replace(REQUEST, tls=False, http=False))
    assert "already speaks TLS" not in cause(replace(given, context=replace(given.context, paths={"sidecar": plain})))


def test_entry_that_takes_the_port_is_no_cause_where_the_test_documents_it() -> None:
    given = SAMPLES["another entry takes the port"]
    line = given.exchange.sidecar or LINE
    assert "so it takes every connection" in cause(given)
    documented = replace(given, expected=replace(given.expected, cluster=line.cluster))
    assert "so it takes every connection" not in cause(documented)


@pytest.mark.parametrize(
    ("failure_text", "milliseconds", "stated"),
    [
        ("", 10_003, "nothing answered within 10 s"),
        ("", 9_998, "nothing answered within 10 s"),
        ("TLS error: SSL routines:OPENSSL internal:CONNECTION REJECTED", 10_003, "nothing answered within 10 s"),
        ("TLS error: SSL routines:OPENSSL internal:CONNECTION REJECTED", 5, "No known cause fits"),
        ("delayed_connect_error:_111", 5, "(UF): delayed connect error: 111"),
    ],
)
def test_connection_that_nothing_answers_is_no_failed_handshake(
    failure_text: str, milliseconds: int, stated: str
) -> None:
    given = SAMPLES["the upstream is not reached (UF)"]
    line = replace(given.exchange.sidecar or LINE, failure=failure_text, duration=milliseconds)
    path = given.context.paths["sidecar"]
    name = path.cluster_name
    timed = {**(path.cluster or {}), "name": name, "connect_timeout": "10s"}
    dump = replace(path.dump, clusters={**path.dump.clusters, name: timed})
    context = replace(given.context, paths={"sidecar": replace(path, dump=dump)})
    text = cause(replace(given, exchange=replace(given.exchange, sidecar=line), context=context))
    assert stated in text
    assert ("firewall or NetworkPolicy" in text) is (milliseconds > 9_900)


@pytest.mark.parametrize(("written", "named"), [("rewritten.example", True), ("other.example", False)])
def test_filter_that_writes_the_host_header_of_the_line_is_named(written: str, *, named: bool) -> None:
    """The route of the written host answers, so the sidecar seems not to know the host."""
    given = SAMPLES["an EnvoyFilter changes the outcome"]
    source = f'handle:headers():replace(":authority", "{written}")'
    lua = {"name": "lua", "typed_config": {"default_source_code": {"inline_string": source}}}
    spec = {
        "configPatches": [{"applyTo": "HTTP_FILTER", "match": {"context": "SIDECAR_OUTBOUND"}, "patch": {"value": lua}}]
    }
    resource_ = {"kind": "EnvoyFilter", "metadata": {"name": "lua", "namespace": "istio-system"}, "spec": spec}
    path = given.context.paths["sidecar"]
    chain = {"filters": [{"typed_config": {"@type": "HttpConnectionManager", "http_filters": [lua]}}]}
    context = replace(
        given.context,
        configuration=configuration(envoy_filters=[resource_]),
        paths={"sidecar": replace(path, chain=chain)},
    )
    line = replace(given.exchange.sidecar or LINE, authority="rewritten.example", status=502)
    text = cause(replace(given, exchange=replace(given.exchange, sidecar=line), context=context))
    assert ("EnvoyFilter lua in istio-system changed the outcome" in text) is named, text


@pytest.mark.parametrize(
    ("filter_name", "plugin"),
    [
        ("extensions.istio.io/wasmplugin/client.guard", resource("WasmPlugin", "guard")),
        (
            "extensions.istio.io/trafficextension/client.guard~istio-translated-wasmplugin",
            resource("WasmPlugin", "guard"),
        ),
        ("extensions.istio.io/trafficextension/client.guard", resource("TrafficExtension", "guard")),
    ],
)
def test_explanation_names_the_plugin_whose_filter_is_on_the_path(filter_name: str, plugin: dict[str, Any]) -> None:
    others = [resource("WasmPlugin", "other"), resource("WasmPlugin", "guard", "platform")]
    found = list(odd_at_sidecar(with_filter(filter_name), configuration(extensions=[plugin, *others]), CLIENT, {}))
    assert f"{plugin['kind']} guard in client adds a filter to this path" in found
    assert len([each for each in found if "adds a filter" in each]) == 1


def test_explanation_names_what_sets_how_the_proxy_runs_and_reports() -> None:
    extensions = [
        resource("Telemetry", "quiet", "istio-system", accessLogging=[{"disabled": True}], tracing=[]),
        resource("ProxyConfig", "threads", selector={"matchLabels": {"app": "sleep"}}, concurrency=4),
        resource("ProxyConfig", "others", selector={"matchLabels": {"app": "other"}}, concurrency=4),
        resource("Telemetry", "elsewhere", "platform", tracing=[]),
        resource("Telemetry", "on", accessLogging=[{"providers": [{"name": "envoy"}]}]),
    ]
    found = list(odd_at_sidecar(HTTP_PATH, configuration(extensions=extensions), CLIENT, {}))
    assert [each for each in found if "of this proxy" in each] == [
        "Telemetry quiet in istio-system sets accessLogging, tracing of this proxy",
        "ProxyConfig threads in client sets concurrency of this proxy",
    ]
    at_gateway = list(odd_at_gateway(gateway_path(), configuration(extensions=extensions), CLIENT, GATEWAY_PODS))
    assert "Telemetry quiet in istio-system sets accessLogging, tracing of this proxy" in at_gateway
