"""Every cause is stated where its evidence is there, and is silent where any part of it is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest
from ambient_cause_samples import ZTUNNEL
from cause_samples import SAMPLES, filtered, flagged, transport_failure
from failures import (
    BLOCKED,
    CURL,
    HOST,
    KNOWN,
    LINE,
    REACHED,
    REQUEST,
    SIMPLE_TLS,
    cluster,
    configuration,
    entry,
    failure,
    http_dump,
    path,
    resource,
    route,
    to,
    virtual_service,
)

from pytest_istio_egress import Hop, Outcome
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.analysis.configuration import MeshSettings
from pytest_istio_egress.verdict.diagnosis import CAUSES, cause
from pytest_istio_egress.verdict.diagnosis.configuration import manifest_rejected
from pytest_istio_egress.verdict.diagnosis.evidence import PRESENT, Evidence
from pytest_istio_egress.verdict.diagnosis.extensions import changes_outcome
from pytest_istio_egress.verdict.diagnosis.failure import NOTHING, Failure
from pytest_istio_egress.verdict.diagnosis.rule import Cause
from pytest_istio_egress.verdict.failure_context import GATEWAY, SIDECAR
from pytest_istio_egress.verdict.proxy_path import path_of

BY_NAME = {each.name: each for each in CAUSES}


def with_lines(given: Failure, **fields: Any) -> Failure:
    """Return the failure with other values in the lines of all Envoys."""
    lines: dict[str, Any] = {
        name: replace(line, **fields) if (line := getattr(given.exchange, name)) else None
        for name in ("sidecar", "gateway", "waypoint")
    }
    return replace(given, exchange=replace(given.exchange, **lines))


def with_curl(given: Failure, **fields: Any) -> Failure:
    """Return the failure with other values in curl's result."""
    return replace(given, exchange=replace(given.exchange, curl=replace(given.exchange.curl, **fields)))


def with_context(given: Failure, **fields: Any) -> Failure:
    """Return the failure with other values in its context."""
    return replace(given, context=replace(given.context, **fields))


def without_path(given: Failure, *names: str) -> Failure:
    """Return the failure without the configuration of some proxies."""
    left = {name: each for name, each in given.context.paths.items() if name not in names}
    return with_context(given, paths=left)


def without_kinds(given: Failure, **kinds: Any) -> Failure:
    """Return the failure with a configuration in which some kinds could not be read."""
    unread = {"entries": "ServiceEntry", "services": "Service", "rules": "VirtualService",
              "destination_rules": "DestinationRule", "sidecars": "Sidecar", "policies": "AuthorizationPolicy",
              "envoy_filters": "EnvoyFilter", "routes": "HTTPRoute", "namespaces": "Namespace"}  # fmt: skip
    read = given.configuration
    names = frozenset(unread[kind] for kind in kinds)
    return with_context(given, configuration=replace(read, **kinds, unread=read.unread | names))


REMOVED: Mapping[Evidence, Callable[[Failure], Failure]] = {
    Evidence.CURL_EXIT: lambda given: with_curl(given, exit=0),
    Evidence.CURL_MESSAGE: lambda given: with_curl(given, error=""),
    Evidence.STATUS: lambda given: with_curl(given, status=0),
    Evidence.BODY: lambda given: with_curl(given, body=""),
    Evidence.RESPONSE_HEADERS: lambda given: with_curl(given, headers={}),
    Evidence.NO_SIDECAR_LINE: lambda given: replace(given, exchange=replace(given.exchange, sidecar=LINE)),
    Evidence.SIDECAR_LINE: lambda given: replace(given, exchange=replace(given.exchange, sidecar=None)),
    Evidence.HOP_LINE: lambda given: replace(
        given, exchange=replace(given.exchange, sidecar=None, gateway=None, waypoint=None)
    ),
    Evidence.GATEWAY_LINE: lambda given: replace(given, exchange=replace(given.exchange, gateway=None)),
    Evidence.NO_ZTUNNEL_LINE: lambda given: replace(given, exchange=replace(given.exchange, ztunnel=ZTUNNEL)),
    Evidence.ZTUNNEL_LINE: lambda given: replace(given, exchange=replace(given.exchange, ztunnel=None)),
    Evidence.ZTUNNEL_ERROR: lambda given: replace(
        given, exchange=replace(given.exchange, ztunnel=replace(given.exchange.ztunnel or ZTUNNEL, error=""))
    ),
    Evidence.REDIRECTION: lambda given: with_context(given, redirected=None),
    Evidence.WAYPOINT_LINE: lambda given: replace(given, exchange=replace(given.exchange, waypoint=None)),
    Evidence.WAYPOINT_PODS: lambda given: with_context(given, waypoint_addresses=frozenset()),
    Evidence.FLAGS: lambda given: with_lines(given, flags="-"),
    Evidence.DETAILS: lambda given: with_lines(given, details="-"),
    Evidence.TERMINATION: lambda given: with_lines(given, termination="-"),
    Evidence.TRANSPORT_FAILURE: lambda given: with_lines(given, failure="-"),
    Evidence.CLUSTER: lambda given: with_lines(given, cluster="-"),
    Evidence.POD: lambda given: with_context(given, injected=True),
    Evidence.PROXY_HEALTH: lambda given: with_context(given, proxy_trouble=""),
    Evidence.ANNOTATIONS: lambda given: with_context(given, annotations={}),
    Evidence.COUNTERS: lambda given: with_context(given, captured=None),
    Evidence.REUSED: lambda given: with_context(given, reused=False),
    Evidence.REJECTION: lambda given: with_context(given, rejected=()),
    Evidence.SIDECAR_PATH: lambda given: without_path(given, SIDECAR),
    Evidence.GATEWAY_PATH: lambda given: without_path(given, GATEWAY),
    Evidence.HOP_PATH: lambda given: without_path(given, SIDECAR, GATEWAY),
    Evidence.SERVICE_ENTRIES: lambda given: without_kinds(given, entries=(), services=()),
    Evidence.VIRTUAL_SERVICES: lambda given: without_kinds(given, rules=()),
    Evidence.DESTINATION_RULES: lambda given: without_kinds(given, destination_rules=()),
    Evidence.SIDECARS: lambda given: without_kinds(given, sidecars=()),
    Evidence.HTTP_ROUTES: lambda given: without_kinds(given, routes=()),
    Evidence.NAMESPACES: lambda given: without_kinds(given, namespaces={}),
    Evidence.POLICIES: lambda given: without_kinds(given, policies=()),
    Evidence.ENVOY_FILTERS: lambda given: without_kinds(given, envoy_filters=()),
    Evidence.MESH: lambda given: with_context(
        given, configuration=replace(given.configuration, unread=given.configuration.unread | {"mesh configuration"})
    ),
}
"""How each kind of evidence is taken away from a failure."""

ALSO_TRUE: Mapping[str, frozenset[str]] = {
    "a pod annotation excludes the traffic": frozenset({"traffic not redirected to the sidecar"}),
    "the module of a WasmPlugin is missing (NFCF)": frozenset({"a filter's configuration is missing (NFCF)"}),
    "the port of the client's proxy is HTTP": frozenset({"no route (NR)"}),
    "two Sidecars for one workload": frozenset({"PassthroughCluster instead of a block"}),
    "certificate for another name": frozenset(),
    "Secret of a credentialName missing": frozenset(),
    "credentialName without workloadSelector at a sidecar": frozenset({"no TLS origination"}),
    "egress gateway without a route": frozenset({"no route (NR)"}),
    "the egress gateway does not listen": frozenset({"the upstream is not reached (UF)"}),
    "outlier detection ejected the endpoints (UH)": frozenset({"no endpoint (UH)"}),
    "no DNS answer at the proxy (UH)": frozenset({"no endpoint (UH)"}),
    "HTTP/2 to a host of HTTP/1.1": frozenset({"the upstream ended the connection (UC)"}),
    "the host closed a connection that was used again (UC)": frozenset({"the upstream ended the connection (UC)"}),
    "client certificate rejected in the handshake": frozenset({"TLS handshake with the host failed"}),
    "certificate revoked": frozenset(),
    "the client does not know the authority of a certificate": frozenset(
        {"the certificate is not accepted by the client"}
    ),
    "the client reached a host with a certificate for another name": frozenset(
        {"the certificate is not accepted by the client"}
    ),
    "the host redirects to https although TLS is originated": frozenset({"the host itself answers"}),
    "the destination's own proxy denies the request": frozenset({"the host itself answers"}),
    "an EnvoyFilter changes a header": frozenset(),
    "TLS to a server of the egress gateway that is plain": frozenset({"TLS to a host that does not use it"}),
    "ISTIO_MUTUAL to a host outside the mesh": frozenset({"TLS handshake with the host failed"}),
    "no authority for a host with a private one": frozenset({"certificate of another authority"}),
    "the upstream does not answer connections (DC)": frozenset({"the client disconnected (DC)"}),
    "a rule rewrites the path for a host that does not know it": frozenset({"the host itself answers"}),
    "a rule sends the request to another host with the Host header of the first": frozenset(
        {"the host itself answers"}
    ),
    "the pod is opted out of ambient mode": frozenset({"the pod is not redirected to ztunnel"}),
    "the namespace is not in ambient mode": frozenset({"the pod is not redirected to ztunnel"}),
}
"""Sentences that are less particular, and true as well, in the sample of a cause."""
EVERYWHERE = frozenset({"no access log line"})
"""True of every failure without a line."""
ERROR_PAGES = frozenset({"the host itself answers"})


def test_every_cause_has_a_sample_and_every_kind_of_evidence_can_be_taken_away() -> None:
    assert SAMPLES.keys() == BY_NAME.keys()
    assert len(BY_NAME) == len(CAUSES)
    assert REMOVED.keys() == PRESENT.keys() == set(Evidence)


@pytest.mark.parametrize("name", SAMPLES)
def test_cause_is_stated_where_its_evidence_is_there(name: str) -> None:
    given = SAMPLES[name]
    assert BY_NAME[name].of(given), "its sample lacks what it needs"
    assert cause(given) == BY_NAME[name].of(given), "an earlier cause of the table explains its sample"


@pytest.mark.parametrize(
    ("each", "evidence"),
    [(each, evidence) for each in CAUSES for evidence in each.needs],
    ids=lambda value: value.name,
)
def test_cause_is_silent_where_a_part_of_its_evidence_is_missing(each: Cause, evidence: Evidence) -> None:
    removed = REMOVED[evidence](SAMPLES[each.name])
    assert not PRESENT[evidence](removed)
    assert each.of(removed) is None
    # Its own check must not rest on the declaration alone where the value itself is gone.
    assert cause(removed) != each.of(SAMPLES[each.name])


@pytest.mark.parametrize("name", SAMPLES)
def test_no_other_cause_is_stated_for_the_sample_of_a_cause(name: str) -> None:
    given = SAMPLES[name]
    allowed = {name} | EVERYWHERE | ALSO_TRUE.get(name, frozenset())
    if given.curl.status == 400:
        allowed |= ERROR_PAGES
    stated = {other.name: text for other in CAUSES if (text := other.of(given))}
    assert not {other: text for other, text in stated.items() if other not in allowed}


@pytest.mark.parametrize("each", CAUSES, ids=lambda each: each.name)
def test_cause_is_silent_where_only_a_field_differs_that_it_does_not_explain(each: Cause) -> None:
    unrelated = Difference("external server", "source address", "the client's", "192.0.2.1")
    given = replace(SAMPLES[each.name], differences=(unrelated,))
    if ("external server", "*") not in each.explains:
        assert each.of(given) is None


@pytest.mark.parametrize("each", CAUSES, ids=lambda each: each.name)
def test_cause_is_silent_without_the_configuration_that_it_needs(each: Cause) -> None:
    given = with_context(SAMPLES[each.name], configuration=NOTHING, paths={})
    configured = {Evidence.SIDECAR_PATH, Evidence.GATEWAY_PATH, Evidence.HOP_PATH, Evidence.SERVICE_ENTRIES}
    if configured & set(each.needs):
        assert each.of(given) is None


@pytest.mark.parametrize("text", [BY_NAME[name].of(given) for name, given in SAMPLES.items()])
def test_every_cause_is_stated_first_and_then_what_to_check(text: str) -> None:
    known, _, rest = text.partition(". ")
    assert known[0].isupper()
    assert any(rest.startswith(word) or f". {word}" in f". {rest}" for word in ("Check ", "Remove ")), text
    assert rest.endswith(".")


def test_sentences_are_all_different() -> None:
    texts = [BY_NAME[name].of(given) for name, given in SAMPLES.items()]
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize("flag", ["UT", "NR", "UF", "UH", "UC", "FI", "DI", "UO", "UR", "UMSDR", "DPE", "SI", "LR"])
def test_documented_response_flag_is_no_cause(flag: str) -> None:
    given = flagged(f"{flag},URX")
    assert f"({flag}" in cause(given)
    documented = replace(given, expected=replace(REACHED, flags=flag))
    assert cause(documented).startswith("No known cause fits")


# Envoy before 1.37 logs the first for every reason, later the code and the reason; the log has "_" for spaces.
BARE = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end"
IN_DETAIL = (
    "TLS_error:|268435581:SSL_routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_{}:TLS_error_end"
)
OF_X509 = "X509_verify_cert:_certificate_verification_error_at_depth_0:_{}"


def test_bare_verify_failure_names_every_possible_reason() -> None:
    text = cause(transport_failure(BARE))
    for reason in ("authority", "names", "dates", "revocation list"):
        assert reason in text
    assert "another authority" not in text


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        (OF_X509.format("unable_to_get_local_issuer_certificate"), "another authority signed it"),
        (OF_X509.format("self_signed_certificate_in_certificate_chain"), "another authority signed it"),
        (OF_X509.format("certificate_has_expired"), "has expired"),
        (OF_X509.format("certificate_revoked"), "is revoked"),
        ("verify_SAN_list", "for another name"),
        (OF_X509.format("unsupported_certificate_purpose"), "its log does not say why"),
    ],
)
def test_verify_failure_with_a_reason_names_it(detail: str, sentence: str) -> None:
    assert sentence in cause(transport_failure(IN_DETAIL.format(detail)))


@pytest.mark.parametrize(
    ("awaited", "named"), [({"kubernetes://partner-ca-cacert"}, True), ({"kubernetes://x"}, False)]
)
def test_missing_secret_is_named_where_the_proxy_was_asked_after_it_gave_up_waiting(
    awaited: set[str],
    named: bool,  # noqa: FBT001  # what is expected
) -> None:
    given = failure(
        line=replace(LINE, status=503, flags="NC", details="cluster_not_found"),
        curl=replace(CURL, status=503),
        at_sidecar=path(cluster(rule="partner", **SIMPLE_TLS), awaited_secrets=frozenset(awaited)),
    )
    assert ("has no certificate for" in cause(given)) is named


@pytest.mark.parametrize(
    ("flags", "reason", "named"),
    [
        ("NC", "Proto constraint validation failed (x)", True),
        ("NC", "a duplicate", False),  # Envoy takes the other clusters of the update
        ("UF", "Proto constraint validation failed (x)", False),
    ],
)
def test_rejected_update_of_clusters_explains_a_cluster_that_is_missing(
    flags: str,
    reason: str,
    named: bool,  # noqa: FBT001  # what is expected
) -> None:
    given = flagged(flags, "cluster_not_found", cluster="-")
    rejected = (f"the sidecar rejected its Cluster outbound|8080||other.test: {reason}",)
    assert ("rejected an update" in cause(with_context(given, rejected=rejected))) is named


def test_secret_that_another_cluster_waits_for_is_no_cause_where_the_cluster_does_not_exist() -> None:
    other = cluster("outbound|80||other.test", rule="other", **SIMPLE_TLS)
    awaited = frozenset({"kubernetes://partner-ca-cacert"})
    given = failure(
        line=replace(LINE, status=503, flags="NC", details="cluster_not_found", cluster="-"),
        curl=replace(CURL, status=503),
        at_sidecar=path_of(http_dump([route(rule="partner")], [other], awaited_secrets=awaited), REQUEST),
        resources=configuration(entries=[]),
    )
    assert "a cluster that it does not have (NC). No ServiceEntry lists partner.test" in cause(given)


@pytest.mark.parametrize(("destination", "named"), [(HOST, True), ("other.test", False)])
def test_cluster_that_a_virtual_service_brings_along_does_not_show_that_the_host_is_known(
    destination: str,
    named: bool,  # noqa: FBT001  # what is expected
) -> None:
    given = failure(
        line=replace(LINE, cluster="BlackHoleCluster", flags="UH", status=0, details="-"),
        curl=replace(CURL, status=0, exit=56),
        at_sidecar=path_of(http_dump([], [cluster()]), REQUEST),
        resources=configuration(
            entries=[entry(exportTo=["platform"])], rules=[virtual_service(to(destination), exportTo=["."])]
        ),
    )
    assert ("ServiceEntry partner in client is not exported to client" in cause(given)) is named


@pytest.mark.parametrize(
    ("annotation", "value", "named"),
    [
        ("excludeOutboundPorts", "80", True),
        ("excludeOutboundPorts", "443", False),
        ("includeOutboundIPRanges", "", True),
        ("includeOutboundIPRanges", "10.0.0.0/8", False),  # the address is not known
    ],
)
def test_unanswered_connection_is_explained_by_an_annotation_that_covers_it(
    annotation: str,
    value: str,
    named: bool,  # noqa: FBT001  # what is expected
) -> None:
    given = SAMPLES["a pod annotation excludes the traffic, and nothing answers"]
    annotated = with_context(given, annotations={f"traffic.sidecar.istio.io/{annotation}": value})
    assert ("went past the sidecar" in cause(annotated)) is named
    curl = replace(given.exchange.curl, exit=28)
    timed_out = replace(annotated, exchange=replace(given.exchange, curl=curl))
    assert "went past the sidecar" not in cause(timed_out)  # whether its Envoy counted it is not known
    assert ("went past the sidecar" in cause(with_context(timed_out, captured=False))) is named


def test_delay_that_an_envoy_filter_applies_once_more_names_it() -> None:
    name = "envoy.filters.http.fault"
    filters = [{"name": name}, {"name": name}]
    manager = {"@type": "x.HttpConnectionManager", "rds": {"route_config_name": "80"}, "http_filters": filters}
    dump = http_dump([route()], [cluster()], chain={"filters": [{"typed_config": manager}]})
    added = {"applyTo": "HTTP_FILTER", "match": {"context": "SIDECAR_OUTBOUND"}, "patch": {"value": {"name": name}}}
    given = failure(
        Outcome(status=200, flags="DI", seconds=1),
        Difference("client", "duration", "1 s", "2 s"),
        line=replace(LINE, flags="DI", duration=2000),
        curl=replace(CURL, seconds=2.0),
        at_sidecar=path_of(dump, REQUEST),
        resources=configuration(envoy_filters=[resource("EnvoyFilter", "twice", configPatches=[added])]),
    )
    assert "EnvoyFilter twice in client adds another fault filter on the request's path" in cause(given)


def test_body_that_differs_alone_is_not_explained_by_a_documented_flag() -> None:
    body = Difference("client", "response body", "...a...", "'b'")
    given = replace(flagged("UF"), differences=(body,))
    assert cause(given).startswith("No known cause fits")


def test_documented_block_is_not_a_cause() -> None:
    line = replace(LINE, cluster="-", route="block_all", details="direct_response", status=502)
    given = failure(BLOCKED, Difference("client", "response body", "...a...", "'b'"), line=line)
    assert "block_all" not in cause(given).partition("Known:")[0]


def test_unexplained_failure_says_what_is_known_and_what_was_ruled_out() -> None:
    given = failure(REACHED, Difference("client", "response body", "...a...", "'b'"), at_sidecar=path(rule="partner"))
    text = cause(given)
    assert "the sidecar sent the request to outbound|80||partner.test by VirtualService partner in client" in text
    assert "Ruled out: an update that a proxy rejected" in text


@pytest.mark.parametrize(
    ("termination", "text"),
    [
        ("ext_authz_denied", ": an external authorization service denied it, or did not answer. Check the Auth"),
        ("something_new", "(connection termination details something_new). Check the log and the filters of the"),
    ],
)
def test_connection_termination_details_are_stated(termination: str, text: str) -> None:
    assert text in cause(with_lines(SAMPLES["an Envoy ends the connection itself"], termination=termination))


def test_documented_connection_termination_details_are_no_cause() -> None:
    given = with_lines(SAMPLES["an Envoy ends the connection itself"], termination="ext_authz_denied")
    documented = replace(given.expected, gateway=Hop(termination="ext_authz_denied"))
    line = given.exchange.sidecar
    at_gateway = replace(given.exchange, gateway=line, sidecar=None)
    assert "ended the connection itself" not in cause(replace(given, expected=documented, exchange=at_gateway))


def test_termination_details_are_among_what_is_known() -> None:
    denied = "rbac_access_denied_matched_policy[none]"
    body = Difference("client", "response body", "'a'", "'b'")
    given = with_lines(failure(REACHED, body), termination=denied)
    assert f"connection termination details {denied}" in cause(given)


def test_failed_authorization_service_is_not_said_to_have_denied() -> None:
    assert "denied the request at the sidecar" in cause(flagged("UAEX", "ext_authz_denied"))
    assert "The sidecar got no valid answer from the external" in cause(flagged("UAEX", "ext_authz_error"))


def test_known_missing_resource_is_never_stated_where_its_kind_could_not_be_read() -> None:
    given = SAMPLES["PassthroughCluster instead of the host's cluster"]
    assert "no ServiceEntry lists partner.test" in cause(given).replace("No ServiceEntry", "no ServiceEntry")
    unread = with_context(given, configuration=replace(configuration(entries=[]), unread=frozenset({"ServiceEntry"})))
    assert "ServiceEntry lists" not in cause(unread)


@pytest.mark.parametrize(
    ("name", "mode_is_named"),
    [("PassthroughCluster instead of a block", True), ("PassthroughCluster instead of the host's cluster", False)],
)
def test_cluster_of_dynamic_dns_lets_unknown_hosts_through_as_well(name: str, *, mode_is_named: bool) -> None:
    settings = MeshSettings(raw={"outboundTrafficPolicy": {"mode": "ALLOW_ANY_DYNAMIC_DNS"}})
    given = with_lines(SAMPLES[name], cluster="AllowAnyDynamicDNSCluster")
    text = cause(with_context(given, configuration=replace(configuration(entries=[]), mesh=settings)))
    assert text.startswith("The sidecar sent the request to AllowAnyDynamicDNSCluster ")
    assert ("is ALLOW_ANY_DYNAMIC_DNS" in text) is mode_is_named


@pytest.mark.parametrize(
    ("rejected", "concerns"),
    [
        ("the sidecar rejected 0.0.0.0_80: bad", True),
        ("the sidecar rejected 0.0.0.0_8080: bad", False),
        ("the sidecar rejected its Cluster outbound|80||a-partner.test: bad", False),
        ("the sidecar rejected its Cluster outbound|443||partner.test: bad", False),
        ("the sidecar rejected its Cluster outbound|80||partner.test: bad", True),
        ("the sidecar rejected its RouteConfiguration 80: bad", True),
        ("the sidecar rejected its RouteConfiguration 8080: bad", False),
    ],
)
def test_rejected_update_counts_only_where_it_concerns_the_request(*, rejected: str, concerns: bool) -> None:
    given = with_context(flagged("UF"), rejected=(rejected,))
    assert ("(NACK)" in cause(given)) is concerns


def test_exit_60_of_an_unknown_authority_says_nothing_of_names() -> None:
    curl = replace(CURL, status=0, exit=60, error="SSL certificate problem: unable to get local issuer certificate")
    text = cause(failure(line=replace(LINE, details="-", status=0), curl=curl))
    assert "authority that the client does not know" in text
    assert "another name" not in text


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ('admission webhook "rev.validation.istio.io" denied the request', "Istio's validating webhook rejected"),
        ('admission webhook "policy.example.com" denied the request', "that is not Istio's rejected"),
        ("ServiceEntry is invalid: spec.ports: Required value", "The API server rejected"),
    ],
)
def test_rejected_manifest_names_who_rejected_it(answer: str, sentence: str) -> None:
    assert sentence in manifest_rejected(answer)


@pytest.mark.parametrize(
    ("details", "limit", "named"),
    [
        ("response_timeout", {"timeout": "0.3s"}, True),
        ("upstream_per_try_timeout", {"retry_policy": {"per_try_timeout": "0.3s"}}, True),
        ("upstream_per_try_timeout", {"timeout": "0.3s"}, False),
        ("response_timeout", {"retry_policy": {"per_try_timeout": "0.3s"}}, False),
    ],
)
def test_envoy_filter_explains_only_the_limit_that_was_reached(
    details: str,
    limit: dict[str, Any],
    named: bool,  # noqa: FBT001  # what is expected
) -> None:
    given = failure(
        line=replace(LINE, status=504, flags="UT", details=details),
        curl=replace(CURL, status=504),
        at_sidecar=replace(KNOWN, route={"name": "default", "route": limit}),
        resources=configuration(envoy_filters=[filtered(route=limit)]),
    )
    assert (changes_outcome.of(given) is not None) is named
