"""Failures as plain data, for tests of causes: one probe to partner.test or db.test, and what was observed of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pytest_istio_egress import Hop, Outcome, get
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.probe import CurlResult, Probe
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.failure_context import GATEWAY, SIDECAR, FailureContext
from pytest_istio_egress.verdict.proxy_path import Endpoint, ProxyDump, ProxyPath, RequestAtProxy, path_of
from pytest_istio_egress.verdict.verdict import Exchange

HOST, CLUSTER = "partner.test", "outbound|80||partner.test"
EXIT = "istio-egressgateway.istio-system.svc.cluster.local"
TO_EXIT = f"outbound|80||{EXIT}"
GATEWAY_POD = "10.1.0.9"

LINE = AccessLogLine(
    raw="...", start="", method="GET", protocol="HTTP/1.1", status=200, flags="-", details="via_upstream",
    termination="-", failure="-", duration=40, user_agent="-", request_id="-", authority=HOST, upstream="192.0.2.80:80",
    cluster=CLUSTER, upstream_local="10.1.0.1:1", downstream_local="192.0.2.80:80", downstream_remote="10.1.0.1:2",
    server_name="-", route="default",
)  # fmt: skip
CURL = CurlResult(
    exit=0, status=200, error="", seconds=0.05, local_address="10.1.0.1", local_port=2, remote_address="192.0.2.80",
    http_version="1.1", headers={"content-type": "text/plain"}, body="",
)  # fmt: skip
STATUS = Difference("client", "HTTP status", "200", "503")
REACHED = Outcome(status=200, cluster=CLUSTER)
BLOCKED = Outcome(status=502, route="block_all", details="direct_response")
OVER_GATEWAY = Outcome(status=200, cluster=TO_EXIT, gateway=Hop(cluster=CLUSTER))
TO_GATEWAY = replace(LINE, cluster=TO_EXIT, upstream=f"{GATEWAY_POD}:8080")
CLIENT = ClientRequest(namespace="client", labels={"app": "sleep"}, host=HOST, port=80)
GATEWAY_PODS = Workload(namespace="istio-system", labels={"istio": "egressgateway"})


def resource(kind: str, name: str, namespace: str = "client", **spec: Any) -> dict[str, Any]:
    """Return an Istio resource as the API does."""
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def entry(name: str = "partner", namespace: str = "client", protocol: str = "HTTP", **spec: Any) -> dict[str, Any]:
    """Return a ServiceEntry of partner.test."""
    ports = [{"number": 80, "name": protocol.lower(), "protocol": protocol}]
    return resource("ServiceEntry", name, namespace, **{"hosts": [HOST], "ports": ports, **spec})


def sidecar(*hosts: str, name: str = "default", namespace: str = "client", **spec: Any) -> dict[str, Any]:
    """Return a Sidecar with these egress hosts."""
    return resource("Sidecar", name, namespace, egress=[{"hosts": list(hosts)}], **spec)


def virtual_service(*routes: dict[str, Any], name: str = "partner", namespace: str = "client", **spec: Any) -> Any:
    """Return a VirtualService of partner.test."""
    return resource("VirtualService", name, namespace, **{"hosts": [HOST], "http": list(routes), **spec})


def to(host: str, port: int = 80, **more: Any) -> dict[str, Any]:
    """Return a route to a destination."""
    return {"route": [{"destination": {"host": host, "port": {"number": port}, **more}}]}


def metadata(kind: str, name: str, namespace: str = "client") -> dict[str, Any]:
    """Return Istio's metadata of a part that comes from a resource."""
    config = f"/apis/networking.istio.io/v1/namespaces/{namespace}/{kind}/{name}"
    return {"metadata": {"filter_metadata": {"istio": {"config": config}}}}


def cluster(name: str = CLUSTER, rule: str = "", **more: Any) -> dict[str, Any]:
    """Return a cluster as Envoy's dump has it."""
    origin = metadata("destination-rule", rule) if rule else {"metadata": {"filter_metadata": {"istio": {}}}}
    istio = origin["metadata"]["filter_metadata"]["istio"]
    istio["services"] = [{"host": name.split("|")[-1], "name": name.split("|")[-1], "namespace": "client"}]
    return {"name": name, "type": "EDS", **origin, **more}


def route(leads_to: str = CLUSTER, rule: str = "", **more: Any) -> dict[str, Any]:
    """Return a route as Envoy's dump has it."""
    action = {"match": {"prefix": "/"}, "route": {"cluster": leads_to}}
    return {**action, **(metadata("virtual-service", rule) if rule else {}), **more}


def http_dump(
    routes: Sequence[Mapping[str, Any]] = (),
    clusters: Sequence[Mapping[str, Any]] = (),
    *,
    listener: str = "0.0.0.0_80",
    chain: Mapping[str, Any] | None = None,
    endpoints: Mapping[str, tuple[Endpoint, ...]] | None = None,
    **more: Any,
) -> ProxyDump:
    """Return a proxy with one HTTP listener, whose only virtual host is for partner.test."""
    manager = {"@type": "x.HttpConnectionManager", "rds": {"route_config_name": "80"}, "http_filters": []}
    listeners = [{"name": listener, "filter_chains": [{"filters": [{"typed_config": manager}], **(chain or {})}]}]
    domains = [{"name": f"{HOST}:80", "domains": [HOST], "routes": list(routes)}] if routes else []
    blocked = {"match": {"prefix": "/"}, "direct_response": {"status": 502}, "name": "block_all"}
    hosts = [*domains, {"name": "block_all", "domains": ["*"], "routes": [blocked]}]
    return ProxyDump(
        listeners=listeners,
        route_configs={"80": {"name": "80", "virtual_hosts": hosts}},
        clusters={str(each["name"]): each for each in clusters},
        endpoints=endpoints or {},
        **more,
    )


REQUEST = RequestAtProxy(address="192.0.2.80", port=80, authority=HOST)
AT_GATEWAY = RequestAtProxy(address=GATEWAY_POD, port=8080, authority=HOST)
KNOWN = path_of(http_dump([route()], [cluster()]), REQUEST)
UNKNOWN = path_of(http_dump(), REQUEST)
SIMPLE_TLS: dict[str, Any] = {
    "transport_socket": {
        "typed_config": {
            "@type": "x.UpstreamTlsContext",
            "sni": "partner.test",
            "common_tls_context": {
                "combined_validation_context": {
                    "validation_context_sds_secret_config": {"name": "kubernetes://partner-ca-cacert"}
                }
            },
        }
    }
}


def path(*clusters: Mapping[str, Any], rule: str = "", **more: Any) -> ProxyPath:
    """Return the sidecar's path for partner.test through these clusters."""
    return path_of(http_dump([route(rule=rule)], clusters or [cluster()], **more), REQUEST)


def gateway_path(*clusters: Mapping[str, Any], rule: str = "", **more: Any) -> ProxyPath:
    """Return the gateway's path for partner.test."""
    dump = http_dump([route(rule=rule)], clusters or [cluster()], **{"listener": "0.0.0.0_8080", **more})
    return path_of(dump, AT_GATEWAY)


def configuration(**kinds: Any) -> Configuration:
    """Return a configuration in which the client knows partner.test, except for these kinds."""
    return Configuration(**{"entries": [entry()], "sidecars": [sidecar("./*", "istio-system/*")], **kinds})


def failure(
    expected: Outcome = REACHED,
    *differences: Difference,
    line: AccessLogLine | None = LINE,
    gateway: AccessLogLine | None = None,
    curl: CurlResult = CURL,
    probe: Probe | None = None,
    at_sidecar: ProxyPath | None = KNOWN,
    at_gateway: ProxyPath | None = None,
    gateway_pods: Workload | None = None,
    resources: Configuration | None = None,
    request: ClientRequest = CLIENT,
    **context: Any,
) -> Failure:
    """Return a failure; without differences, that the status differs."""
    exchange = Exchange(
        probe=probe or get(f"http://{HOST}/"), command=(), kubectl_command="", began=0.0, curl=curl, sidecar=line,
        gateway=gateway, addresses={"gateway": frozenset({GATEWAY_POD})},
    )  # fmt: skip
    paths = {SIDECAR: at_sidecar, GATEWAY: at_gateway}
    known = FailureContext(
        request=request,
        gateway=gateway_pods or (GATEWAY_PODS if at_gateway is not None or gateway is not None else None),
        configuration=resources or configuration(),
        paths={name: each for name, each in paths.items() if each is not None},
        **context,
    )
    return Failure(expected, exchange, differences or (STATUS,), known)
