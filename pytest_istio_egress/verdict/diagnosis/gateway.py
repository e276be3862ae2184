"""Causes on the way to the egress gateway and in it: bypassed, not listening, without a route, without mutual TLS."""

from __future__ import annotations

from pytest_istio_egress.model.cluster_name import host_of
from pytest_istio_egress.verdict.analysis.documents import covers
from pytest_istio_egress.verdict.analysis.gateways import faults
from pytest_istio_egress.verdict.analysis.virtual_services import leads_to, other_rules, why_no_rule_leads_to
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure, Line
from pytest_istio_egress.verdict.diagnosis.rule import AT_GATEWAY, OUTCOME, ROUTED, as_sentence, cause, fields, joined
from pytest_istio_egress.verdict.failure_context import GATEWAY
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.dump import Part
from pytest_istio_egress.verdict.proxy_path.listeners import chains_of, ends_mesh_tls
from pytest_istio_egress.verdict.proxy_path.upstream import mesh_tls, originated_tls

_UNTRUSTED = 60


def _wanted_host(failure: Failure) -> str:
    """Return the host of the gateway's Service: of the expected cluster, else where the host's VirtualServices lead."""
    expected = host_of(failure.expected.cluster or "")
    if expected and expected != failure.request.host:
        return expected
    leads = [
        str(each["host"])
        for rule in failure.configuration.rules_of(failure.request.host)
        for each in failure.configuration.destinations_of(rule)
    ]
    return next((host for host in leads if host.endswith(failure.configuration.mesh.service_suffix)), "")


@cause(
    "egress gateway bypassed",
    explains=ROUTED | AT_GATEWAY | fields("sidecar", "*"),
    needs=(Evidence.CLUSTER, Evidence.VIRTUAL_SERVICES, Evidence.SIDECARS, Evidence.MESH, Evidence.SIDECAR_PATH),
)
def bypassed(failure: Failure) -> str | None:
    """The sidecar sent the request to the host itself, and not to the gateway."""
    line, path, request = failure.line, failure.sidecar_path, failure.request
    if failure.expected.gateway is None or line is None or path is None or failure.exchange.went_to_gateway:
        return None
    if host_of(line.cluster) != request.host:
        return None
    known = f"The request bypassed the egress gateway: the sidecar sent it directly to {line.cluster}."
    wanted = _wanted_host(failure)
    if path.rule is not None:
        others = other_rules(failure.configuration, request, path.rule)
        unused = next((why for rule, why in others if wanted and leads_to(failure.configuration, rule, wanted)), "")
        because = f" {as_sentence(unused)}" if unused else ""
        return f"{known} {path.rule} routes it there.{because} Check its route for the gateway `mesh`."
    why = why_no_rule_leads_to(failure.configuration, request, wanted) if wanted else ""
    if not why:
        return f"{known} No VirtualService in the sidecar's configuration routes the host. {_CHECK_RULE}"
    return f"{known} {as_sentence(why)} {_CHECK_RULE}"


_CHECK_RULE = "Check the VirtualService's gateways, its matches for `mesh`, and whether it is exported to the client."


def _refused(line: Line | None) -> bool:
    return line is not None and "UF" in line.flags.split(",") and "refused" in line.failure.lower()


@cause(
    "the egress gateway does not listen",
    explains=OUTCOME,
    needs=(Evidence.SIDECAR_LINE, Evidence.FLAGS, Evidence.TRANSPORT_FAILURE, Evidence.GATEWAY_PATH),
)
def not_listening(failure: Failure) -> str | None:
    """The gateway's pod refused the connection, and its proxy has no listener on that port."""
    line, path = failure.line, failure.gateway_path
    if line is None or path is None or not failure.exchange.went_to_gateway or not _refused(line) or path.listener:
        return None
    return joined(
        f"The egress gateway refused the connection of the sidecar ({line.upstream}, UF): its proxy has no listener on "
        f"port {path.request.port}.",
        *_faults(failure),
        "Check the Gateway's servers, and that a route is attached to them.",
    )


def _faults(failure: Failure) -> list[str]:
    """Return the faults at the gateway that concern the host, as sentences: the first two."""
    return [as_sentence(fault) for fault in faults(failure.configuration, failure.request, failure.context.gateway)[:2]]


@cause(
    "the egress gateway reads no HTTP on the port",
    explains=ROUTED | AT_GATEWAY,
    needs=(Evidence.CLUSTER, Evidence.SIDECAR_PATH, Evidence.GATEWAY_PATH),
)
def reads_no_http(failure: Failure) -> str | None:
    """The sidecar sends HTTP, and the gateway's listener for that port passes connections on as TCP."""
    own, gateway = failure.sidecar_path, failure.gateway_path
    if own is None or gateway is None or not failure.exchange.went_to_gateway or not own.http:
        return None
    if gateway.chain is None or gateway.http or gateway.chain.get("transport_socket") or not gateway.clusters:
        return None
    rejected = failure.line is not None and {"UPE", "UC"} & set(failure.line.flags.split(","))
    if not rejected and not any(each.hop == GATEWAY for each in failure.differences):
        return None
    return joined(
        f"The egress gateway reads no HTTP on port {gateway.request.port}, where the sidecar sends it: its listener "
        f"passes connections on to {gateway.cluster_name} as TCP.",
        *_faults(failure),
        "Check the protocols of the Gateways' servers on that port.",
    )


@cause(
    "no mutual TLS to an egress gateway that requires it",
    explains=OUTCOME,
    needs=(Evidence.CLUSTER, Evidence.SIDECAR_PATH, Evidence.GATEWAY_PATH),
)
def mutual_tls_missing(failure: Failure) -> str | None:
    """The gateway's filter chains for the port require the mesh's mutual TLS, and the sidecar's cluster has none."""
    line, own, gateway = failure.line, failure.sidecar_path, failure.gateway_path
    if line is None or own is None or gateway is None or not _not_taken(failure):
        return None
    cluster = own.through(line.cluster).cluster
    if cluster is None or not _requires_mesh_tls(gateway, failure.request.host):
        return None
    tls = originated_tls(cluster)
    if mesh_tls(cluster) and _has_chain(gateway, tls.sni if tls else ""):
        return None
    uses = f"with server name {tls.sni}" if tls else "without it"
    return (
        "The egress gateway accepted no request from the sidecar: it requires mutual TLS (ISTIO_MUTUAL) on port "
        f"{gateway.request.port}, and the sidecar connects {uses}, for {line.cluster}. Check tls.mode and tls.sni of "
        "the DestinationRule for the gateway's Service."
    )


@cause(
    "TLS to a server of the egress gateway that is plain",
    explains=OUTCOME,
    needs=(Evidence.TRANSPORT_FAILURE, Evidence.SIDECAR_PATH, Evidence.GATEWAY_PATH),
)
def plain_server(failure: Failure) -> str | None:
    """The sidecar's cluster originates TLS, and the gateway's listener ends none."""
    line, own, gateway = failure.line, failure.sidecar_path, failure.gateway_path
    if line is None or own is None or gateway is None or not failure.exchange.went_to_gateway:
        return None
    ends_tls = any(chain.get("transport_socket") for chain in chains_of(gateway.listener or {}))
    if "WRONG_VERSION_NUMBER" not in line.failure or gateway.listener is None or ends_tls:
        return None
    if originated_tls(own.through(line.cluster).cluster) is None:
        return None
    rule = own.destination_rule or "the DestinationRule"
    return (
        f"The sidecar uses TLS to the egress gateway ({line.upstream}), whose server on that port ends none "
        f"(WRONG_VERSION_NUMBER). Check tls.mode of {rule}, and the protocol and tls.mode of the Gateway's server."
    )


def _not_taken(failure: Failure) -> bool:
    """Whether the gateway took no request from the sidecar, or only the client's own TLS for the mesh's."""
    if not failure.exchange.went_to_gateway or _refused(failure.line):
        return False
    gateway = failure.gateway_line
    mistaken = failure.curl.exit == _UNTRUSTED
    return mistaken or gateway is None or gateway.details == "filter_chain_not_found" or gateway.status == 0


def _requires_mesh_tls(path: ProxyPath, host: str) -> bool:
    """Whether the filter chains for a host end TLS with the workload's own certificate, and require one."""
    chains = (
        [path.chain]
        if path.chain is not None
        else [each for each in chains_of(path.listener or {}) if _is_for(each, host)]
    )
    return bool(chains) and all(ends_mesh_tls(chain) for chain in chains)


def _is_for(chain: Part, host: str) -> bool:
    """Whether a filter chain names no server, or a host."""
    names = (chain.get("filter_chain_match") or {}).get("server_names") or ["*"]
    return any(covers(str(name), host) for name in names)


def _has_chain(path: ProxyPath, server_name: str) -> bool:
    names = [
        name
        for chain in chains_of(path.listener or {})
        for name in (chain.get("filter_chain_match") or {}).get("server_names") or [""]
    ]
    return any(name in ("", "*", server_name) or (name[:1] == "*" and server_name.endswith(name[1:])) for name in names)


@cause(
    "server name that no server of the Gateway accepts",
    explains=OUTCOME,
    needs=(Evidence.CLUSTER, Evidence.GATEWAY_PATH),
)
def not_accepted(failure: Failure) -> str | None:
    """The gateway has a listener for the port, and no filter chain for the request's server name."""
    path, line = failure.gateway_path, failure.line
    if path is None or line is None or path.listener is None or path.chain is not None or not _not_taken(failure):
        return None
    name = path.request.server_name or "none"
    return joined(
        "The egress gateway closed the connection before any request: none of its servers accepts it (server name "
        f"{name}, port {path.request.port}).",
        *_faults(failure),
        "Check the hosts of the Gateway's servers.",
    )


@cause(
    "egress gateway without a route",
    explains=OUTCOME,
    needs=(Evidence.GATEWAY_LINE, Evidence.FLAGS, Evidence.DETAILS),
)
def without_route(failure: Failure) -> str | None:
    """The request reached the gateway, which has no route for it."""
    hop = next((hop for hop in failure.hops if hop.line is failure.gateway_line), None)
    if hop is None or "NR" not in hop.flags:
        return None
    return joined(
        f"The egress gateway received the request, but has no route for it (NR, {hop.line.details}).",
        *_faults(failure),
        "Check that Gateway and VirtualService name the same host, and that they are exported to the gateway.",
    )
