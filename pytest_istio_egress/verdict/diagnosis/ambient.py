"""Causes in an ambient mesh: the pod is not captured, the entry has another waypoint or none, the tunnel failed.

    curl -> ztunnel -> HBONE -> waypoint -> external server

What the waypoint itself reports (a policy, TLS, a timeout) has the same causes as at any other Envoy.
"""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.ambient_names import (
    DATAPLANE_MODE,
    REDIRECTION,
    USE_WAYPOINT,
    WAYPOINT_ACCEPTED,
    WAYPOINT_BOUND,
)
from pytest_istio_egress.model.ztunnel_log import HBONE_PORT
from pytest_istio_egress.verdict.analysis.documents import Document, full_name
from pytest_istio_egress.verdict.analysis.hosts import addresses_of
from pytest_istio_egress.verdict.analysis.visibility import exported
from pytest_istio_egress.verdict.analysis.waypoints import (
    chosen_waypoint,
    condition_of,
    policies_on,
    policies_without_target,
    unattached_routes,
)
from pytest_istio_egress.verdict.diagnosis.client import NO_ADDRESS
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.let_through import denial_is_documented
from pytest_istio_egress.verdict.diagnosis.rule import AT_WAYPOINT, AT_ZTUNNEL, ROUTED, cause, fields

_ON_THE_WAY = ROUTED | AT_ZTUNNEL | fields("waypoint", "*")
_NEEDS_ENTRY = (Evidence.ZTUNNEL_LINE, Evidence.SERVICE_ENTRIES)


def _entries(failure: Failure) -> list[Document]:
    """Return the ServiceEntries of the request's host, those of the client's namespace first."""
    own = failure.request.namespace
    return sorted(
        failure.configuration.entries_of(failure.request.host),
        key=lambda entry: entry["metadata"]["namespace"] != own,
    )


def _entry(failure: Failure) -> Document | None:
    """Return the entry that ztunnel's line names; None where it names another host."""
    line = failure.ztunnel_line
    if line is None or line.service != failure.request.host:
        return None
    return next(iter(_entries(failure)), None)


@cause(
    "the pod is opted out of ambient mode",
    explains=_ON_THE_WAY,
    needs=(Evidence.NO_ZTUNNEL_LINE, Evidence.REDIRECTION),
)
def opted_out(failure: Failure) -> str | None:
    """The label of the client's pod keeps it out of the ambient mesh."""
    mode = failure.request.labels.get(DATAPLANE_MODE)
    if failure.context.redirected is not False or mode != "none":
        return None
    return (
        f"The client's pod is not redirected to ztunnel: its label {DATAPLANE_MODE} is none, so nothing of Istio is on "
        "its path. Check the labels of the pod."
    )


@cause(
    "the namespace is not in ambient mode",
    explains=_ON_THE_WAY,
    needs=(Evidence.NO_ZTUNNEL_LINE, Evidence.REDIRECTION, Evidence.NAMESPACES),
)
def namespace_not_ambient(failure: Failure) -> str | None:
    """Neither the pod nor its namespace has the label that captures it."""
    request = failure.request
    namespace = failure.configuration.namespaces.get(request.namespace)
    if failure.context.redirected is not False or namespace is None or DATAPLANE_MODE in request.labels:
        return None
    if namespace.get(DATAPLANE_MODE) == "ambient":
        return None
    return (
        f"The client's pod is not redirected to ztunnel: namespace {request.namespace} does not have the label "
        f"{DATAPLANE_MODE}=ambient, nor does the pod. Check the labels of the namespace."
    )


@cause(
    "the pod is not redirected to ztunnel",
    explains=_ON_THE_WAY,
    needs=(Evidence.NO_ZTUNNEL_LINE, Evidence.REDIRECTION),
)
def not_redirected(failure: Failure) -> str | None:
    """The CNI agent did not redirect the pod, whatever its labels are."""
    if failure.context.redirected is not False:
        return None
    return (
        f"The client's pod is not redirected to ztunnel: it lacks the annotation {REDIRECTION}. Check "
        "the log of the istio-cni agent on its node, and the labels of the pod and its namespace."
    )


@cause("no DNS answer at an ambient client", explains=_ON_THE_WAY, needs=(Evidence.CURL_EXIT, Evidence.SERVICE_ENTRIES))
def no_dns_answer(failure: Failure) -> str | None:
    """ztunnel, which answers the DNS queries of captured pods, has no address for the host."""
    if failure.curl.exit not in NO_ADDRESS - failure.expected.exits or not failure.context.redirected:
        return None
    host, entries = failure.request.host, _entries(failure)
    hidden = [each for each in entries if not exported(each, failure.request.namespace, failure.configuration.mesh)]
    if not entries:
        why = f": no ServiceEntry lists {host}"
    elif len(hidden) == len(entries):
        why = f": {full_name(hidden[0])} is not exported to {failure.request.namespace}"
    elif not any(map(addresses_of, entries)):
        why = f": {full_name(entries[0])} has no address, and was allocated none"
    else:
        why = ""
    return (
        f"The client got no address for {host} from DNS{why}. Check spec.hosts, exportTo and addresses of the "
        "ServiceEntry, and that ztunnel captures DNS (cni.ambient.dnsCapture)."
    )


@cause("no entry has the address", explains=_ON_THE_WAY, needs=_NEEDS_ENTRY)
def address_of_no_entry(failure: Failure) -> str | None:
    """ztunnel found no entry for the address, so nothing of an entry applies."""
    line = failure.ztunnel_line
    if line is None or line.service or not failure.differs("ztunnel", "destination service"):
        return None
    entries, address = _entries(failure), failure.curl.remote_address
    if not entries:
        why = f"no ServiceEntry lists {failure.request.host}"
    else:
        known = addresses_of(entries[0])
        if address in known:
            return None
        why = f"{full_name(entries[0])} has the addresses {', '.join(known) or 'none'}"
    return (
        f"The ztunnel found no service with the address {address}, and forwarded the connection past every waypoint: "
        f"{why}. Check which address the client resolves the host to, and spec.addresses of the ServiceEntry."
    )


def _without_tunnel(failure: Failure) -> Document | None:
    """Return the entry to whose waypoint ztunnel was to send the connection, and did not."""
    line = failure.ztunnel_line
    if line is None or line.hbone or not failure.differs("ztunnel", "tunnel (HBONE)"):
        return None
    return _entry(failure)


@cause("the waypoint of the entry is not bound", explains=_ON_THE_WAY, needs=(*_NEEDS_ENTRY, Evidence.NAMESPACES))
def waypoint_not_bound(failure: Failure) -> str | None:
    """A label chooses a waypoint, and istiod did not bind the entry to it."""
    entry = _without_tunnel(failure)
    bound = condition_of(entry, WAYPOINT_BOUND) if entry else {}
    waypoint = chosen_waypoint(entry, failure.configuration) if entry else None
    if entry is None or waypoint is None or bound.get("status") != "False":
        return None
    return (
        f"The ztunnel forwarded the connection without a waypoint, because {full_name(entry)} is not bound to "
        f"{waypoint} ({bound.get('reason')}: {bound.get('message')}), which {waypoint.label} chooses. Check that "
        "this Gateway exists, that its pods are ready, and that its allowedRoutes admit the namespace of the entry."
    )


@cause("the entry is labelled to have no waypoint", explains=_ON_THE_WAY, needs=(*_NEEDS_ENTRY, Evidence.NAMESPACES))
def waypoint_none(failure: Failure) -> str | None:
    """The label istio.io/use-waypoint is `none`."""
    entry = _without_tunnel(failure)
    waypoint = chosen_waypoint(entry, failure.configuration) if entry else None
    if waypoint is None or waypoint.name:
        return None
    return (
        f"The ztunnel forwarded the connection without a waypoint, because {waypoint.label} is none. Check whether "
        "that is meant: no HTTP rule and no policy applies to such a host."
    )


@cause("no label gives the entry a waypoint", explains=_ON_THE_WAY, needs=(*_NEEDS_ENTRY, Evidence.NAMESPACES))
def no_waypoint(failure: Failure) -> str | None:
    """Neither the entry nor its namespace has the label."""
    entry = _without_tunnel(failure)
    if entry is None or chosen_waypoint(entry, failure.configuration) is not None:
        return None
    return (
        f"The ztunnel forwarded the connection without a waypoint: neither {full_name(entry)} nor its namespace has "
        f"the label {USE_WAYPOINT}. Check the labels of both: the label of the client's namespace does not count."
    )


@cause("the entry has a waypoint", explains=_ON_THE_WAY, needs=(*_NEEDS_ENTRY, Evidence.NAMESPACES))
def waypoint_used(failure: Failure) -> str | None:
    """ztunnel was to forward the connection by itself, and sent it to a waypoint."""
    line, entry = failure.ztunnel_line, _entry(failure)
    if line is None or entry is None or not line.hbone or not failure.differs("ztunnel", "tunnel (HBONE)"):
        return None
    waypoint = chosen_waypoint(entry, failure.configuration)
    if waypoint is None or not waypoint.name:
        return None
    return (
        f"The ztunnel sent the connection through {waypoint}, which {waypoint.label} chooses. Check that label; "
        f"{USE_WAYPOINT}: none on the ServiceEntry leaves one entry out."
    )


@cause(
    "another waypoint took the connection",
    explains=_ON_THE_WAY,
    needs=(*_NEEDS_ENTRY, Evidence.WAYPOINT_PODS, Evidence.NAMESPACES),
)
def other_waypoint(failure: Failure) -> str | None:
    """The tunnel led to a pod that is not one of the waypoint that was to take the request."""
    line, entry = failure.ztunnel_line, _entry(failure)
    if line is None or entry is None or not line.hbone or line.error or failure.waypoint_line is not None:
        return None
    waypoint = chosen_waypoint(entry, failure.configuration)
    if waypoint is None or not line.workload or line.upstream_address in failure.context.waypoint_addresses:
        return None
    return (
        f"The ztunnel sent the connection through the pod {line.workload} of {waypoint}, which {waypoint.label} "
        "chooses, and not through the waypoint that was to take it. Check that label."
    )


@cause("the tunnel to the waypoint failed", explains=_ON_THE_WAY, needs=(Evidence.ZTUNNEL_LINE, Evidence.ZTUNNEL_ERROR))
def tunnel_failed(failure: Failure) -> str | None:
    """ztunnel had no HBONE connection to the waypoint."""
    line = failure.ztunnel_line
    if line is None or not line.hbone or not failure.differs("ztunnel", "error"):
        return None
    return (
        f"The ztunnel could not send the connection through a tunnel (HBONE) to {line.destination}: {line.error}. "
        f"Check that the waypoint's pods are ready, and that no NetworkPolicy or PeerAuthentication keeps ztunnel from "
        f"their port {HBONE_PORT}."
    )


@cause("ztunnel could not connect", explains=_ON_THE_WAY, needs=(Evidence.ZTUNNEL_LINE, Evidence.ZTUNNEL_ERROR))
def connection_failed(failure: Failure) -> str | None:
    """ztunnel itself did not reach the upstream, or had none."""
    line = failure.ztunnel_line
    if line is None or line.hbone or not failure.differs("ztunnel", "error"):
        return None
    to = line.destination or failure.curl.remote_address
    return (
        f"The ztunnel could not forward the connection to {to}{f' of {line.service}' if line.service else ''}: "
        f"{line.error}. Check the endpoints of the entry, and whether the node reaches that address."
    )


def _let_through(failure: Failure) -> Document | None:
    """Return the entry whose request a waypoint was to deny by a policy, and which was answered."""
    wanted, line = failure.expected.waypoint, failure.waypoint_line
    was_denied = line is not None and line.is_denied
    if wanted is None or not denial_is_documented(wanted) or was_denied or not failure.answered:
        return None
    return _entry(failure)


_NEEDS_POLICIES = (*_NEEDS_ENTRY, Evidence.POLICIES)


@cause("the target of a policy has no waypoint", explains=_ON_THE_WAY, needs=_NEEDS_POLICIES)
def policy_not_bound(failure: Failure) -> str | None:
    """istiod says in the status of a policy that nothing enforces it."""
    entry = _let_through(failure)
    for policy in policies_on(entry, failure.configuration) if entry else ():
        accepted = condition_of(policy, WAYPOINT_ACCEPTED)
        if accepted.get("status") == "False":
            return (
                f"Nothing enforces {full_name(policy)}: {accepted.get('message') or accepted.get('reason')}. Check its "
                f"targetRefs, and the label {USE_WAYPOINT} of its target."
            )
    return None


@cause("a policy at the wrong layer", explains=_ON_THE_WAY, needs=(*_NEEDS_POLICIES, Evidence.WAYPOINT_LINE))
def policy_at_other_layer(failure: Failure) -> str | None:
    """The policies of the namespace have no target: ztunnel enforces them on connections to pods."""
    entry = _let_through(failure)
    if entry is None or policies_on(entry, failure.configuration):
        return None
    near = list(_without_target(failure, entry))
    if not near:
        return None
    return (
        f"The waypoint let the request through: {full_name(near[0])} has no targetRefs, so that ztunnel enforces it, "
        f"on connections to the pods that it selects, and not the waypoint. Check spec.targetRefs: {full_name(entry)} "
        "or its waypoint has to be named."
    )


def _without_target(failure: Failure, entry: Document) -> Iterator[Document]:
    for namespace in dict.fromkeys((entry["metadata"]["namespace"], failure.request.namespace)):
        yield from policies_without_target(namespace, failure.configuration)


@cause("no policy has the entry as its target", explains=_ON_THE_WAY, needs=(*_NEEDS_POLICIES, Evidence.WAYPOINT_LINE))
def no_policy(failure: Failure) -> str | None:
    """No AuthorizationPolicy names the entry or its waypoint."""
    entry = _let_through(failure)
    if entry is None or policies_on(entry, failure.configuration) or any(_without_target(failure, entry)):
        return None
    return (
        f"The waypoint let the request through: no AuthorizationPolicy has {full_name(entry)} or its waypoint as its "
        "target. Check kind, name and namespace in the targetRefs of the policy."
    )


@cause(
    "an HTTPRoute is not attached to the entry",
    explains=AT_WAYPOINT | ROUTED | fields("client", "duration"),
    needs=(*_NEEDS_ENTRY, Evidence.HTTP_ROUTES, Evidence.WAYPOINT_LINE),
)
def route_not_attached(failure: Failure) -> str | None:
    """A route names the entry as its parent, and its status says that it does not apply."""
    entry = _entry(failure)
    found = unattached_routes(entry, failure.request.host, failure.configuration) if entry else []
    if entry is None or not found:
        return None
    route, refused = found[0]
    return (
        f"{full_name(route)} does not apply to {full_name(entry)}: its status has {refused.get('type')} "
        f"{refused.get('status')} ({refused.get('reason')}: {refused.get('message')}). Check its parentRefs."
    )
