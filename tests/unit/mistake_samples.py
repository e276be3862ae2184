"""Failures in which causes of users' common mistakes are true: the smallest evidence that each needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from failures import (
    CLIENT,
    CLUSTER,
    CURL,
    HOST,
    LINE,
    OVER_GATEWAY,
    REACHED,
    REQUEST,
    TO_EXIT,
    TO_GATEWAY,
    cluster,
    configuration,
    entry,
    failure,
    gateway_path,
    http_dump,
    path,
    resource,
    route,
    to,
    virtual_service,
)

from pytest_istio_egress import Outcome, get
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.proxy_path import ProxyDump, ProxyPath, path_of

FAILED_TLS = "TLS_error:|268435581:SSL_routines:OPENSSL_internal:{}:TLS_error_end"
PRIVATE_AUTHORITY = FAILED_TLS.format(
    "CERTIFICATE_VERIFY_FAILED:verify_cert_failed:_X509_verify_cert:_certificate_verification_error_at_depth_0:_"
    "unable_to_get_local_issuer_certificate"
)
_503 = replace(LINE, status=503, flags="URX,UF", details="upstream_reset_before_response_started{}")


def tls(*secrets: str, authority: str = "") -> dict[str, Any]:
    """Return the transport socket of a cluster with certificates, and an authority, of these names."""
    common: dict[str, Any] = {"tls_certificate_sds_secret_configs": [{"name": name} for name in secrets]}
    if authority:
        common["combined_validation_context"] = {"validation_context_sds_secret_config": {"name": authority}}
    context = {"@type": "x.UpstreamTlsContext", "sni": HOST, "common_tls_context": common}
    return {"transport_socket": {"typed_config": context}}


def tcp_path(*clusters: Mapping[str, Any], **proxy: Any) -> ProxyPath:
    """Return the sidecar's path through a listener that reads no HTTP."""
    chain = {"filters": [{"typed_config": {"@type": "x.TcpProxy", "cluster": CLUSTER, **proxy}}]}
    dump = ProxyDump(
        listeners=[{"name": "0.0.0.0_80", "filter_chains": [chain]}],
        clusters={str(each["name"]): each for each in clusters or [cluster()]},
    )
    return path_of(dump, replace(REQUEST, http=False))


def with_filter(name: str) -> ProxyPath:
    """Return the sidecar's path through an HTTP filter of this name."""
    manager = {"@type": "x.HttpConnectionManager", "rds": {"route_config_name": "80"}, "http_filters": [{"name": name}]}
    return path_of(http_dump([route()], [cluster()], chain={"filters": [{"typed_config": manager}]}), REQUEST)


TIMEOUT = virtual_service({"timeout": "1s", **to(HOST)})
BY_PROXY = replace(CLIENT, host="proxy.test", port=3128, by_proxy=True)
TO_PROXY = "outbound|3128||proxy.test"
TCP_LINE = replace(LINE, status=0, details="-")
REWRITING = route(rule="partner", match={"prefix": "/api"}, route={"cluster": CLUSTER, "prefix_rewrite": "/"})
TO_OTHER_HOST = "outbound|80||other.test"
TEAM = resource(
    "EnvoyFilter",
    "team",
    configPatches=[
        {
            "applyTo": "VIRTUAL_HOST",
            "match": {"context": "SIDECAR_INBOUND"},
            "patch": {"value": {"response_headers_to_add": [{"header": {"key": "x-team", "value": "a"}}]}},
        }
    ],
)

MISTAKE_SAMPLES: Mapping[str, Failure] = {
    "the module of a WasmPlugin is missing (NFCF)": failure(
        line=replace(LINE, status=500, flags="NFCF", details="-", upstream="-"),
        curl=replace(CURL, status=500),
        at_sidecar=with_filter("extensions.istio.io/trafficextension/client.guard~istio-translated-wasmplugin"),
        resources=configuration(extensions=[resource("WasmPlugin", "guard", url="file:///guard.wasm")]),
    ),
    "an Envoy ends the connection itself": failure(
        line=replace(TCP_LINE, termination="transport_socket_timeout_was_reached"),
        curl=replace(CURL, status=0, exit=35, error="SSL_ERROR_SYSCALL"),
        at_sidecar=tcp_path(),
    ),
    "the port of the client's proxy is HTTP": failure(
        line=replace(LINE, status=404, flags="NR", details="route_not_found", cluster="-", upstream="-"),
        probe=get(f"https://{HOST}/", arguments=("-x", "http://proxy.test:3128")),
        curl=replace(CURL, status=0, exit=56, error="CONNECT tunnel failed, response 404"),
        at_sidecar=replace(path(), request=replace(REQUEST, method="CONNECT", authority=f"{HOST}:443", port=3128)),
        resources=configuration(
            entries=[
                resource(
                    "ServiceEntry",
                    "proxy",
                    hosts=["proxy.test"],
                    ports=[{"number": 3128, "name": "http", "protocol": "HTTP"}],
                )
            ]
        ),
        request=BY_PROXY,
    ),
    "the client's proxy does not connect to the host": failure(
        line=replace(TCP_LINE, cluster=TO_PROXY, upstream="192.0.2.90:3128"),
        probe=get(f"https://{HOST}/", arguments=("-x", "http://proxy.test:3128")),
        curl=replace(CURL, status=0, exit=56, error="CONNECT tunnel failed, response 403"),
        request=BY_PROXY,
    ),
    "the client's proxy answers, or the host behind it": failure(
        line=replace(TCP_LINE, cluster=TO_PROXY, upstream="192.0.2.90:3128"),
        probe=get(f"http://{HOST}/", arguments=("-x", "http://proxy.test:3128")),
        curl=replace(CURL, status=407),
        request=BY_PROXY,
    ),
    "an AuthorizationPolicy of the client's pod does not apply to what it sends": failure(
        Outcome(status=403),
        Difference("client", "HTTP status", "403", "200"),
        resources=configuration(
            policies=[
                resource(
                    "AuthorizationPolicy", "none", action="DENY", rules=[{"to": [{"operation": {"hosts": [HOST]}}]}]
                )
            ]
        ),
    ),
    "TLS to a server of the egress gateway that is plain": failure(
        OVER_GATEWAY,
        line=replace(TO_GATEWAY, status=503, flags="URX,UF", failure=FAILED_TLS.format("WRONG_VERSION_NUMBER")),
        curl=replace(CURL, status=503),
        at_sidecar=path_of(
            http_dump([route(TO_EXIT, "partner")], [cluster(TO_EXIT, "to-exit", **tls("default"))]), REQUEST
        ),
        at_gateway=gateway_path(),
    ),
    "the egress gateway reads no HTTP on the port": failure(
        OVER_GATEWAY,
        Difference("egress gateway", "access log", "a line for this request", "none"),
        line=TO_GATEWAY,
        at_sidecar=path_of(http_dump([route(TO_EXIT, "partner")], [cluster(TO_EXIT)]), REQUEST),
        at_gateway=tcp_path(),
    ),
    "ISTIO_MUTUAL to a host outside the mesh": failure(
        line=replace(_503, failure=FAILED_TLS.format("TLSV1_ALERT_NO_APPLICATION_PROTOCOL")),
        curl=replace(CURL, status=503),
        at_sidecar=path(cluster(rule="partner", **tls("default", authority="ROOTCA"))),
    ),
    "TLS originated for a client that speaks TLS itself": failure(
        line=TCP_LINE,
        probe=get(f"https://{HOST}/"),
        curl=replace(CURL, status=0, exit=35, error="SSL routines::wrong version number"),
        at_sidecar=replace(
            tcp_path(cluster(rule="partner", **tls(authority="x"))), request=replace(REQUEST, tls=True, http=False)
        ),
    ),
    "no authority for a host with a private one": failure(
        line=replace(_503, failure=PRIVATE_AUTHORITY),
        curl=replace(CURL, status=503),
        at_sidecar=path(cluster(rule="partner", **tls(authority="file-root:system"))),
    ),
    "rules for HTTP on a port of another protocol": failure(
        Outcome(status=504, details="response_timeout"),
        Difference("client", "HTTP status", "504", "200"),
        line=TCP_LINE,
        at_sidecar=tcp_path(),
        resources=configuration(entries=[entry(protocol="TCP")], rules=[TIMEOUT]),
    ),
    "an idle timeout ends a connection of TCP": failure(
        line=replace(TCP_LINE, duration=999),
        curl=replace(CURL, status=0, exit=52, error="Empty reply from server", seconds=1.0),
        at_sidecar=tcp_path(cluster(rule="partner"), idle_timeout="1s"),
    ),
    "the upstream does not answer connections (DC)": failure(
        line=replace(LINE, status=0, flags="DC", details="downstream_remote_disconnect", upstream_local="-"),
        curl=replace(CURL, status=0, exit=28, error="Operation timed out", seconds=15.0),
    ),
    "the PROXY protocol to a host that does not expect it": failure(
        line=replace(LINE, status=400),
        curl=replace(CURL, status=400, body="400 Bad Request"),
        at_sidecar=path(
            cluster(rule="partner", transport_socket={"name": "envoy.transport_sockets.upstream_proxy_protocol"})
        ),
    ),
    "a rule rewrites the path for a host that does not know it": failure(
        line=replace(LINE, status=404),
        curl=replace(CURL, status=404),
        at_sidecar=path_of(http_dump([REWRITING], [cluster()]), replace(REQUEST, path="/api/get")),
    ),
    "a rule sends the request to another host with the Host header of the first": failure(
        Outcome(status=200, cluster=TO_OTHER_HOST),
        line=replace(LINE, status=404, cluster=TO_OTHER_HOST),
        curl=replace(CURL, status=404),
        at_sidecar=path_of(http_dump([route(TO_OTHER_HOST, "partner")], [cluster(TO_OTHER_HOST)]), REQUEST),
        resources=configuration(entries=[entry(), entry("other", hosts=["other.test"])]),
    ),
    "an EnvoyFilter has another context": failure(
        REACHED,
        Difference("client", "response header x-team", "a", "none"),
        resources=configuration(envoy_filters=[TEAM]),
    ),
}
