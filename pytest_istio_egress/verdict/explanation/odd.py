"""What is unusual about a request's path at one proxy, or keeps it from its host; main clauses without a full stop."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from pytest_istio_egress.model.cluster_name import ClusterName
from pytest_istio_egress.verdict.analysis import gateways
from pytest_istio_egress.verdict.analysis.configuration import (
    ClientRequest,
    Configuration,
    Workload,
    at_gateway,
)
from pytest_istio_egress.verdict.analysis.destinations import any_originates, why_no_cluster, why_no_tls
from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.extensions import filters_from, patches_on, settings_from
from pytest_istio_egress.verdict.analysis.gateway_api import unattached
from pytest_istio_egress.verdict.analysis.hosts import (
    applied,
    is_outside,
    protocol_of,
    same_definition,
    why_unknown,
)
from pytest_istio_egress.verdict.analysis.letting_through import outbound_policy, why_allow_any
from pytest_istio_egress.verdict.analysis.mismatches import why_not_taken
from pytest_istio_egress.verdict.analysis.policies import action_of, policies_of, policies_of_client
from pytest_istio_egress.verdict.analysis.tls_policies import why_no_policy
from pytest_istio_egress.verdict.analysis.virtual_services import (
    hosts_of,
    lost_delegates,
    other_rules,
    why_not_for_sidecars,
    why_routes_unread,
)
from pytest_istio_egress.verdict.analysis.visibility import sidecars_of, why_not_applied
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.path import ANY_HOST_CLUSTERS, CATCH_ALL_CLUSTERS, originates_again
from pytest_istio_egress.verdict.proxy_path.upstream import (
    awaited_secrets,
    cluster_type,
    limits,
    mesh_tls,
    originated_tls,
)

_WITHOUT_ENDPOINTS = frozenset({"ORIGINAL_DST", "envoy.clusters.dynamic_forward_proxy"})
"""Types of clusters that have no endpoints of their own before the first request."""


def odd_at_sidecar(
    path: ProxyPath, configuration: Configuration, request: ClientRequest, annotations: Mapping[str, str]
) -> Iterator[str]:
    """Yield what is odd at the client's sidecar; `annotations` of its pod limit the redirection to it."""
    yield from (
        f"the pod's annotation {name}: {value} limits which traffic passes the sidecar"
        for name, value in annotations.items()
    )
    if len(selecting := sidecars_of(configuration, request)) > 1:
        yield f"{' and '.join(full_name(each) for each in selecting)} select the same workload: the oldest applies"
    if path.cluster_name in CATCH_ALL_CLUSTERS or path.response or _is_unrouted(path):
        yield from _unknown_host(path, configuration, request)
    yield from odd_cluster(path, configuration, request)
    yield from _tls(path, configuration, request)
    if originates_again(path):
        yield f"the client already speaks TLS, and {path.cluster_name} originates TLS around it{_rule(path)}"
    yield from unattached(configuration, request.host)
    yield from (
        f"{full_name(policy)} lists the host, and applies to what the client's pod receives, not to what it sends"
        for policy in policies_of_client(configuration, request)
    )
    yield from _definitions(path, configuration, request)
    yield from _rules(path, configuration, request)
    yield from _patches(path, configuration, request, "SIDECAR_OUTBOUND")
    yield from odd_extensions(path, configuration, request)


def odd_at_gateway(
    path: ProxyPath, configuration: Configuration, request: ClientRequest, gateway: Workload
) -> Iterator[str]:
    """Yield what is odd at the egress gateway."""
    if _is_unrouted(path) or not path.cluster_name:
        yield from gateways.faults(configuration, request, gateway) or [_unknown_at_gateway(path)]
    if path.request.tls and path.http and not (path.chain or {}).get("transport_socket"):
        yield f"what arrives at the gateway is TLS, and its listener {path.listener_name} expects plain HTTP"
    client = replace(request, namespace=gateway.namespace, labels=gateway.labels)
    yield from odd_cluster(path, at_gateway(configuration), client)
    yield from _tls(path, configuration, client)
    yield from (
        f"{full_name(policy)} ({action_of(policy)}) applies to the gateway's pods"
        for policy in policies_of(configuration, gateway)
    )
    yield from _patches(path, configuration, gateway, "GATEWAY")
    yield from odd_extensions(path, configuration, gateway)


def _unknown_at_gateway(path: ProxyPath) -> str:
    request = path.request
    host = request.authority if path.http else request.server_name
    return (
        f"the gateway has no route for {host or 'the connection'}: no VirtualService that is bound to one of its "
        "Gateways has a route that matches it"
    )


def _is_unrouted(path: ProxyPath) -> bool:
    return path.http and path.route is None


def _unknown_host(path: ProxyPath, configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    if path.rule is not None:
        return  # a rule answers the request itself
    reason = why_unknown(configuration, request)
    if reason := reason or why_not_taken(configuration, request, path, path.request.address):
        yield reason
    through = path.cluster_name in ANY_HOST_CLUSTERS or (path.route or {}).get("name") == "allow_any"
    if through:
        yield why_allow_any(configuration, request) or "the outbound traffic policy of the client allows any host"
    elif "Sidecar" not in configuration.unread:
        mode, subject = outbound_policy(configuration, request)
        yield f"{subject} is {mode}, so that the host is blocked"


def odd_cluster(path: ProxyPath, configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    """Yield what is odd about the cluster of a path: it is missing, has no endpoint, or limits that are set."""
    name = path.cluster_name
    if not name or name in CATCH_ALL_CLUSTERS:
        return
    if len(path.clusters) > 1:
        yield f"the route divides requests among {', '.join(path.clusters)}; the first one is followed"
    if name in path.dump.warming_clusters:
        secrets = ", ".join(awaited_secrets(path.dump, name))
        yield f"the proxy does not use {name} yet" + (f": it waits for {secrets}" if secrets else "")
    elif path.cluster is None:
        yield why_no_cluster(configuration, name, request) or f"the proxy does not have {name}"
    elif not path.endpoints and cluster_type(path.cluster) not in _WITHOUT_ENDPOINTS:
        by_dns = cluster_type(path.cluster) in ("STRICT_DNS", "LOGICAL_DNS")
        yield f"{name} has no endpoints" + (": DNS returned none to the proxy" if by_dns else "")
    elif path.endpoints and all(endpoint.unhealthy for endpoint in path.endpoints):
        yield f"the proxy uses no endpoint of {name}: {path.endpoints[0].unhealthy}"
    if set_limits := limits(path.cluster):
        listed = ", ".join(f"{limit} {value}" for limit, value in sorted(set_limits.items()))
        yield f"{name} has a circuit breaker with {listed}{_rule(path)}"


def _tls(path: ProxyPath, configuration: Configuration, client: ClientRequest) -> Iterator[str]:
    """Yield what is odd about the TLS that the cluster originates, or does not originate."""
    tls, name = originated_tls(path.cluster), ClusterName.parse(path.cluster_name)
    if path.cluster is None or name is None:
        return
    host, port = name.host, name.port
    if tls is None and path.http and not mesh_tls(path.cluster):
        why = why_no_policy(configuration, host, port)
        if not why and any_originates(configuration, host):
            why = why_no_tls(configuration, host, port, client)
        yield from filter(None, [why])
    elif tls is not None and tls.of_workload and is_outside(configuration, host):
        yield f"{path.cluster_name} uses ISTIO_MUTUAL{_rule(path)}, which hosts outside the mesh do not speak"


def _rule(path: ProxyPath) -> str:
    return f" ({path.destination_rule})" if path.destination_rule else ""


def _definitions(path: ProxyPath, configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    known = applied(configuration, request)
    entries = [each for each in known if each["kind"] == "ServiceEntry"]
    if len(entries) > 1 and not same_definition(entries, request.port):
        yield f"{' and '.join(full_name(each) for each in entries)} define {request.host} differently"
    for each in known:
        if path.sniffed and not protocol_of(each, request.port):
            yield (
                f"{full_name(each)} declares no protocol for port {request.port}: the sidecar waits for the client's "
                "first bytes, so a server that speaks first is not heard"
            )


def _rules(path: ProxyPath, configuration: Configuration, request: ClientRequest) -> Iterator[str]:
    """Yield why VirtualServices of the host have no part in the path."""
    for rule in configuration.rules_of(request.host):
        yield from lost_delegates(configuration, rule)
        if path.rule is not None and path.rule.names(rule):
            continue
        if reason := why_not_applied(rule, hosts_of(configuration, rule), configuration, request):
            yield reason
        elif path.rule is None:
            yield (
                why_not_for_sidecars(rule)
                or why_routes_unread(configuration, rule, request)
                or f"{full_name(rule)} names the host, and decides nothing at the sidecar (matches, ports)"
            )
    yield from (why for _, why in other_rules(configuration, request, path.rule))


def _patches(path: ProxyPath, configuration: Configuration, workload: Workload, context: str) -> Iterator[str]:
    found = dict.fromkeys(
        (full_name(patch.document), patch.apply_to) for patch in patches_on(configuration, workload, path, context)
    )
    yield from (f"{name} changes a part of this path ({apply_to})" for name, apply_to in found)


def odd_extensions(path: ProxyPath, configuration: Configuration, workload: Workload) -> Iterator[str]:
    """Yield the plugins whose filter the path contains, and the resources that set how the proxy runs and reports."""
    yield from (f"{full_name(each)} adds a filter to this path" for each in filters_from(configuration, workload, path))
    yield from (
        f"{full_name(each)} sets {fields} of this proxy"
        for each, fields in settings_from(configuration, workload)
        if fields
    )
