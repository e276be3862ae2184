"""For every cause a failure in which it is true, by the cause's name: the smallest evidence that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ambient_cause_samples import AMBIENT_SAMPLES
from failures import (
    AT_GATEWAY,
    BLOCKED,
    CLIENT,
    CLUSTER,
    CURL,
    EXIT,
    HOST,
    KNOWN,
    LINE,
    OVER_GATEWAY,
    REACHED,
    REQUEST,
    SIMPLE_TLS,
    TO_EXIT,
    TO_GATEWAY,
    UNKNOWN,
    cluster,
    configuration,
    entry,
    failure,
    gateway_path,
    http_dump,
    path,
    resource,
    route,
    sidecar,
    to,
    virtual_service,
)
from mistake_samples import MISTAKE_SAMPLES

from pytest_istio_egress import Hop, Outcome, get
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.analysis.configuration import MeshSettings
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.proxy_path import Endpoint, ProxyDump, path_of

_503 = replace(LINE, status=503, details="x")
_ANSWERED = replace(CURL, status=200)
_NONE = replace(CURL, status=0, exit=56, error="Recv failure: Connection reset by peer")
_TLS_PATH = path(cluster(rule="partner", **SIMPLE_TLS))
_PASSTHROUGH = replace(LINE, cluster="PassthroughCluster", route="allow_any")
_BLOCK = Difference("client", "HTTP status", "502", "200")
_DENYING = Outcome(
    status=403, cluster=TO_EXIT, gateway=Hop(status=403, details="rbac_access_denied_matched_policy[none]")
)
_TCP_CHAIN = {
    "filter_chains": [{"filters": [{"typed_config": {"@type": "x.TcpProxy", "cluster": "outbound|80||other.test"}}]}]
}
_TCP_PATH = path_of(ProxyDump(listeners=[{"name": "0.0.0.0_80", **_TCP_CHAIN}]), replace(REQUEST, http=False))
_SNIFFING = {"listener_filters": [{"name": "envoy.filters.listener.http_inspector"}]}
_SMTP = get(f"smtp://{HOST}:80")
_ONLY_80 = path_of(http_dump([route()], [cluster()], listener="0.0.0.0_8080"), replace(AT_GATEWAY, port=8443))
_MESH_TLS_CHAIN = {
    "transport_socket": {
        "typed_config": {
            "require_client_certificate": True,
            "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "default"}]},
        }
    }
}
_SIDECAR_TO_EXIT = path_of(http_dump([route(TO_EXIT, "partner")], [cluster(TO_EXIT)]), REQUEST)
_FOR_OTHERS = {"filter_chain_match": {"server_names": ["another.test"]}}
_EXTERNAL = Difference("external server", "server-name", HOST, "other.test")
_HEADER = Difference("external server", "request header x-team", "none", "payments")
_ADDED = {"routes": {"request_headers_to_add": [{"header": {"key": "x-team"}}]}}


def filtered(**value: Any) -> Any:
    """Return an EnvoyFilter of the root namespace that patches the sidecar's virtual host."""
    patch = {"applyTo": "HTTP_ROUTE", "match": {"context": "SIDECAR_OUTBOUND"}, "patch": {"value": value}}
    return resource("EnvoyFilter", "broken", "istio-system", configPatches=[patch])


def flagged(flags: str, details: str = "x", **more: Any) -> Failure:
    """Return a failure with response flags of the sidecar, and nothing else."""
    line = replace(_503, flags=flags, details=details, **more)
    return failure(line=line, curl=replace(CURL, status=503))


def transport_failure(text: str) -> Failure:
    """Return a failure of the sidecar's own TLS."""
    line = replace(_503, flags="UF,URX", failure=text)
    return failure(line=line, curl=replace(CURL, status=503), at_sidecar=_TLS_PATH)


def error_page(body: str, **more: Any) -> Failure:
    """Return a failure with a host's own 400."""
    return failure(curl=replace(CURL, status=400, body=body), line=replace(LINE, status=400), **more)


SAMPLES: Mapping[str, Failure] = {
    "sidecar not injected": failure(line=None, injected=False, at_sidecar=None),
    "sidecar not ready": failure(line=None, proxy_trouble="CrashLoopBackOff", at_sidecar=None),
    "configuration rejected by the proxy (NACK)": failure(
        line=_503, rejected=(f"the sidecar rejected its Cluster {CLUSTER}: bad",)
    ),
    "a pod annotation excludes the traffic": failure(
        BLOCKED,
        _BLOCK,
        line=None,
        captured=False,
        annotations={"traffic.sidecar.istio.io/excludeOutboundIPRanges": "192.0.2.0/24"},
    ),
    "a pod annotation excludes the traffic, and nothing answers": failure(
        line=None,
        curl=replace(CURL, status=0, exit=7, remote_address=""),
        annotations={"traffic.sidecar.istio.io/excludeOutboundPorts": "80"},
    ),
    "traffic not redirected to the sidecar": failure(BLOCKED, _BLOCK, line=None, captured=False),
    "a server that speaks first, on a port without a protocol": failure(
        line=None,
        probe=_SMTP,
        curl=replace(CURL, status=0, exit=28, error="Operation timed out"),
        at_sidecar=replace(KNOWN, listener={"name": "0.0.0.0_80", **_SNIFFING}),
        resources=configuration(entries=[entry(ports=[{"number": 80, "name": "ledger"}])]),
    ),
    "no access log line": failure(line=None, at_sidecar=None),
    "an EnvoyFilter changes the outcome": failure(
        BLOCKED,
        Difference("client", "HTTP status", "502", "404"),
        line=replace(LINE, cluster="-", status=404, details="direct_response", route="block_all"),
        curl=replace(CURL, status=404),
        at_sidecar=replace(UNKNOWN, route={"name": "block_all", "direct_response": {"status": 404}}),
        resources=configuration(entries=[], envoy_filters=[filtered(direct_response={"status": 404})]),
    ),
    "an EnvoyFilter changes a header": failure(
        REACHED,
        _HEADER,
        at_sidecar=path_of(http_dump([{**route(), **_ADDED["routes"]}], [cluster()]), REQUEST),
        resources=configuration(envoy_filters=[filtered(**_ADDED["routes"])]),
    ),
    "two Sidecars for one workload": failure(
        BLOCKED,
        _BLOCK,
        line=_PASSTHROUGH,
        resources=configuration(
            entries=[],
            sidecars=[
                sidecar("./*", name="one", outboundTrafficPolicy={"mode": "ALLOW_ANY"}),
                sidecar("./*", name="two", outboundTrafficPolicy={"mode": "REGISTRY_ONLY"}),
            ],
        ),
    ),
    "PassthroughCluster instead of a block": failure(
        BLOCKED,
        _BLOCK,
        line=_PASSTHROUGH,
        resources=configuration(entries=[], sidecars=[sidecar("./*", outboundTrafficPolicy={"mode": "ALLOW_ANY"})]),
    ),
    "a host is known that should be blocked": failure(BLOCKED, _BLOCK),
    "no policy denies at the egress gateway": failure(
        _DENYING,
        Difference("client", "HTTP status", "403", "200"),
        line=TO_GATEWAY,
        gateway=LINE,
        resources=configuration(
            policies=[
                resource(
                    "AuthorizationPolicy",
                    "who",
                    "istio-system",
                    action="AUDIT",
                    selector={"matchLabels": {"istio": "egressgateway"}},
                )
            ]
        ),
    ),
    "PassthroughCluster instead of the host's cluster": failure(
        line=_PASSTHROUGH, at_sidecar=UNKNOWN, resources=configuration(entries=[entry(hosts=["other.test"])])
    ),
    "blocked by BlackHoleCluster": failure(
        line=replace(LINE, cluster="BlackHoleCluster", flags="UH", status=0, details="-"),
        curl=_NONE,
        at_sidecar=UNKNOWN,
        resources=configuration(entries=[entry(exportTo=["platform"])]),
    ),
    "blocked by route block_all": failure(
        line=replace(LINE, cluster="-", route="block_all", details="direct_response", status=502),
        curl=replace(CURL, status=502),
        at_sidecar=UNKNOWN,
        resources=configuration(entries=[entry(namespace="platform")]),
    ),
    "another entry takes the port": failure(
        REACHED,
        Difference("sidecar", "upstream cluster", CLUSTER, "outbound|80||other.test"),
        line=replace(LINE, cluster="outbound|80||other.test", details="-"),
        at_sidecar=_TCP_PATH,
        resources=configuration(entries=[entry(protocol="TCP"), entry("other", protocol="TCP", hosts=["other.test"])]),
    ),
    "an AuthorizationPolicy denies the request": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, status=403),
        gateway=replace(LINE, status=403, details="rbac_access_denied_matched_policy[none]"),
        curl=replace(CURL, status=403),
    ),
    "an AuthorizationPolicy denies the connection": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, details="-", status=0),
        gateway=replace(
            LINE,
            details="-",
            status=0,
            termination="rbac_access_denied_matched_policy[ns[istio-system]-policy[no-posts]-rule[0]]",
        ),
        curl=_NONE,
    ),
    "the destination's own proxy denies the request": failure(
        line=replace(LINE, status=403), curl=replace(CURL, status=403, body="RBAC: access denied")
    ),
    "Secret of a credentialName missing": failure(
        line=replace(_503, flags="UF", failure="TLS_error:_Secret_is_not_supplied_by_SDS"),
        curl=replace(CURL, status=503),
        at_sidecar=path(
            cluster(rule="partner", **SIMPLE_TLS), awaited_secrets=frozenset({"kubernetes://partner-ca-cacert"})
        ),
        resources=configuration(secrets={"client": frozenset({"other"})}),
    ),
    "certificate for another name": transport_failure("TLS_error:CERTIFICATE_VERIFY_FAILED:verify_SAN_list"),
    "certificate revoked": transport_failure("TLS_error:CERTIFICATE_VERIFY_FAILED:certificate_revoked"),
    "certificate expired": transport_failure("TLS_error:CERTIFICATE_VERIFY_FAILED:certificate_has_expired"),
    "certificate of another authority": transport_failure(
        "TLS_error:|OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_"
        "verification_error_at_depth_0:_unable_to_get_local_issuer_certificate:TLS_error_end"
    ),
    "certificate not accepted, for a reason that Envoy does not log": transport_failure(
        "TLS_error:|OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end"
    ),
    "TLS to a host that does not use it": transport_failure("TLS_error:|OPENSSL_internal:WRONG_VERSION_NUMBER"),
    "client certificate rejected in the handshake": transport_failure("TLS_error:TLSV1_ALERT_UNKNOWN_CA"),
    "TLS handshake with the host failed": transport_failure("TLS_error:SSLV3_ALERT_HANDSHAKE_FAILURE"),
    "credentialName without workloadSelector at a sidecar": error_page(
        "Client sent an HTTP request to an HTTPS server.",
        resources=configuration(
            destination_rules=[
                resource("DestinationRule", "partner", host=HOST, trafficPolicy={"tls": {"credentialName": "ca"}})
            ]
        ),
    ),
    "no TLS origination": error_page("The plain HTTP request was sent to HTTPS port"),
    "no client certificate for a host that requires mutual TLS": error_page("No required SSL certificate was sent"),
    "client certificate rejected by the host": error_page("The SSL certificate error"),
    "another server name than the host's": failure(
        Outcome(status=200, server_saw={"server-name": "right.test"}),
        _EXTERNAL,
        curl=replace(CURL, headers={"x-outside-server-name": HOST}),
        at_sidecar=_TLS_PATH,
    ),
    "egress gateway bypassed": failure(
        OVER_GATEWAY,
        Difference("egress gateway", "access log", "a line for this request", "none"),
        resources=configuration(rules=[virtual_service(to(EXIT), namespace="platform")]),
    ),
    "the egress gateway does not listen": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, flags="UF", status=503, failure="delayed_connect_error:_Connection_refused"),
        curl=replace(CURL, status=503),
        at_gateway=_ONLY_80,
    ),
    "no mutual TLS to an egress gateway that requires it": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, status=0, details="-"),
        curl=_NONE,
        at_sidecar=_SIDECAR_TO_EXIT,
        at_gateway=gateway_path(chain=_MESH_TLS_CHAIN),
    ),
    "server name that no server of the Gateway accepts": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, status=0, details="-"),
        curl=_NONE,
        at_gateway=gateway_path(chain=_FOR_OTHERS),
    ),
    "egress gateway without a route": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, status=404),
        gateway=replace(LINE, status=404, flags="NR", details="route_not_found", cluster="-"),
        curl=replace(CURL, status=404),
    ),
    "perTryTimeout is too short (UT)": flagged("UT", "upstream_per_try_timeout"),
    "a timeout is too short (UT)": flagged("UT", "response_timeout"),
    "a timeout is too long": failure(
        Outcome(status=504, flags="UT"),
        Difference("client", "HTTP status", "504", "200"),
        at_sidecar=path_of(
            http_dump([route(rule="slow", route={"cluster": CLUSTER, "timeout": "60s"})], [cluster()]), REQUEST
        ),
    ),
    "a timeout is missing": failure(Outcome(status=504, flags="UT"), Difference("client", "HTTP status", "504", "200")),
    "a rule injects a fault (FI)": flagged("FI"),
    "a rule injects a delay (DI)": flagged("DI"),
    "a route to a cluster that the proxy does not have (NC)": failure(
        line=replace(_503, flags="NC", cluster="-"),
        curl=replace(CURL, status=503),
        at_sidecar=path_of(http_dump([route("outbound|80|v1|partner.test", "partner")], [cluster()]), REQUEST),
    ),
    "outlier detection ejected the endpoints (UH)": failure(
        line=replace(_503, flags="UH"),
        curl=replace(CURL, status=503),
        at_sidecar=path(endpoints={CLUSTER: (Endpoint("192.0.2.80:80", "failed_outlier_check"),)}),
    ),
    "no DNS answer at the proxy (UH)": failure(
        line=replace(_503, flags="UH"),
        curl=replace(CURL, status=503),
        at_sidecar=path({**cluster(), "type": "STRICT_DNS"}),
    ),
    "no endpoint (UH)": failure(line=replace(_503, flags="UH"), curl=replace(CURL, status=503)),
    "the upstream is not reached (UF)": flagged("UF", failure="delayed_connect_error:_111"),
    "HTTP/2 to a host of HTTP/1.1": failure(
        line=replace(_503, flags="UPE"),
        curl=replace(CURL, status=503),
        at_sidecar=path(
            cluster(
                typed_extension_protocol_options={
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                        "explicit_http_config": {"http2_protocol_options": {}}
                    }
                }
            )
        ),
    ),
    "the host closed a connection that was used again (UC)": replace(
        flagged("UC"), context=replace(flagged("UC").context, reused=True)
    ),
    "the upstream ended the connection (UC)": flagged("UC"),
    "the circuit breaker overflows (UO)": flagged("UO"),
    "no route (NR)": flagged("NR", "route_not_found", cluster="-"),
    "the client disconnected (DC)": failure(
        line=replace(_503, flags="DC", status=0), curl=replace(CURL, status=0, exit=28, error="timed out")
    ),
    "no DNS answer at the client": failure(
        line=None, at_sidecar=None, curl=replace(CURL, status=0, exit=6, error="Could not resolve host")
    ),
    "the client does not know the authority of a certificate": failure(
        line=replace(LINE, details="-", status=0),
        curl=replace(CURL, status=0, exit=60, error="SSL certificate problem: unable to get local issuer certificate"),
    ),
    "the client reached a host with a certificate for another name": failure(
        line=replace(LINE, details="-", status=0),
        curl=replace(CURL, status=0, exit=60, error="SSL: no alternative certificate subject name matches target"),
    ),
    "the certificate is not accepted by the client": failure(
        line=replace(LINE, details="-", status=0),
        curl=replace(CURL, status=0, exit=60, error="certificate has expired"),
    ),
    "the host's TLS refused the client": failure(
        line=replace(LINE, details="-", status=0),
        curl=replace(CURL, status=0, exit=35, error="TLS connect error: tlsv1 alert protocol version"),
    ),
    "the host redirects to https although TLS is originated": failure(
        line=replace(LINE, status=308),
        curl=replace(CURL, status=308, headers={"location": f"https://{HOST}/"}),
        at_sidecar=_TLS_PATH,
    ),
    "a rule rewrites the Host header": failure(
        Outcome(status=200, server_saw={"host": HOST}),
        Difference("external server", "host", HOST, "other.test"),
        curl=replace(CURL, headers={"x-outside-host": "other.test"}),
        at_sidecar=path_of(
            http_dump(
                [route(rule="partner", route={"cluster": CLUSTER, "host_rewrite_literal": "other.test"})], [cluster()]
            ),
            REQUEST,
        ),
    ),
    "the Host header was changed": failure(
        Outcome(status=200, server_saw={"host": HOST}),
        Difference("external server", "host", HOST, "other.test"),
        curl=replace(CURL, headers={"x-outside-host": "other.test"}),
        line=replace(LINE, authority="other.test"),
    ),
    "another time than the documented one": failure(
        Outcome(status=504, flags="UT", seconds=3),
        Difference("client", "duration", "3 s", "4.5 s"),
        line=replace(LINE, status=504, flags="UT", details="response_timeout", duration=4500),
        curl=replace(CURL, status=504, seconds=4.5),
    ),
    "a rule answers the request itself": failure(
        line=replace(LINE, status=301, details="direct_response", cluster="-"),
        curl=replace(CURL, status=301, headers={"location": "https://elsewhere.test/"}),
        at_sidecar=path_of(
            http_dump([{**route(rule="partner"), "route": {}, "redirect": {"host_redirect": "elsewhere.test"}}]),
            REQUEST,
        ),
    ),
    "a rule sends the request to another cluster": failure(
        Outcome(status=200, cluster="outbound|443||partner.test"),
        Difference("sidecar", "upstream cluster", "outbound|443||partner.test", CLUSTER),
        at_sidecar=path(rule="partner"),
    ),
    "the host itself answers": failure(line=replace(LINE, status=500), curl=replace(CURL, status=500)),
    **{
        f"{name} ({flag})": flagged(flag)
        for flag, name in (
            ("UR", "the upstream reset the request"),
            ("UMSDR", "a request reached its longest duration"),
            ("DPE", "the client's request is not valid HTTP"),
            ("SI", "an idle stream timed out"),
            ("NFCF", "a filter's configuration is missing"),
            ("LR", "the proxy reset the connection itself"),
            ("UAEX", "an external authorization service denied the request"),
            ("RL", "a rate limit rejected the request"),
            ("RLSE", "the rate limit service failed"),
            ("OM", "the proxy is overloaded"),
            ("IH", "a header is not valid"),
            ("DF", "a name was not resolved"),
        )
    },
    **AMBIENT_SAMPLES,
    **MISTAKE_SAMPLES,
}
MESH = MeshSettings(raw={"outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"}})
__all__ = ["CLIENT", "MESH", "SAMPLES", "flagged"]
