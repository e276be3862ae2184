"""Causes where something got through that should have been blocked: which resource let it through."""

from __future__ import annotations

from pytest_istio_egress.model.outcome import Hop
from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.letting_through import why_allow_any, why_host_is_known
from pytest_istio_egress.verdict.analysis.missing_denials import why_nothing_denies
from pytest_istio_egress.verdict.analysis.policies import policies_of_client
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import DENIED, Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import ROUTED, as_sentence, cause
from pytest_istio_egress.verdict.proxy_path.path import ANY_HOST_CLUSTERS

_FORBIDDEN = 403


@cause(
    "PassthroughCluster instead of a block",
    explains=ROUTED,
    needs=(Evidence.CLUSTER, Evidence.SIDECARS, Evidence.MESH),
)
def policy_allows(failure: Failure) -> str | None:
    """A cluster for any host took a request that was to be blocked, and the outbound traffic policy allows any host."""
    line = failure.line
    if line is None or line.cluster not in ANY_HOST_CLUSTERS or not failure.expects_block:
        return None
    why = why_allow_any(failure.configuration, failure.request)
    if not why:
        return None
    return (
        f"The sidecar sent the request to {line.cluster} instead of blocking it: {why}. Check "
        "outboundTrafficPolicy there."
    )


@cause(
    "a host is known that should be blocked",
    explains=ROUTED,
    needs=(Evidence.CLUSTER, Evidence.SIDECAR_PATH, Evidence.SERVICE_ENTRIES, Evidence.SIDECARS, Evidence.MESH),
)
def host_is_known(failure: Failure) -> str | None:
    """The registry has a host that was to be unknown to this client."""
    line, path = failure.line, failure.sidecar_path
    if line is None or path is None or not line.cluster.startswith("outbound|") or not failure.expects_block:
        return None
    service = next((each for each in path.services if each.host == failure.request.host), None)
    why = why_host_is_known(failure.configuration, failure.request, service, path.rule)
    if not why:
        return None
    return (
        f"The sidecar knows the host, and sent the request to {line.cluster} instead of blocking it: {why}. Check "
        "whether that is meant for this client."
    )


def denial_is_documented(hop: Hop) -> bool:
    """Whether a policy is to deny the request at an Envoy."""
    return _documented(hop).startswith(DENIED) or hop.status == _FORBIDDEN


def _documented(hop: Hop) -> str:
    """Return the documented details of a request, or of a connection, at an Envoy."""
    return hop.details or hop.termination or ""


def _was_to_deny(failure: Failure) -> LoggedHop | None:
    """Return the Envoy that was to deny the request by a policy, and passed it on."""
    return next((hop for hop in failure.hops if denial_is_documented(hop.expected) and not _is_denied(hop)), None)


def _is_denied(hop: LoggedHop) -> bool:
    return hop.line.is_denied or hop.line.termination.startswith(DENIED)


@cause("no policy denies at the egress gateway", explains=ROUTED, needs=(Evidence.GATEWAY_LINE, Evidence.POLICIES))
def nothing_denied(failure: Failure) -> str | None:
    """The gateway was to deny the request, and the AuthorizationPolicy that was to do so denies nothing there."""
    hop, workload = _was_to_deny(failure), failure.context.gateway
    if hop is None or workload is None or not failure.answered:
        return None
    why = why_nothing_denies(failure.configuration, workload, failure.request.host, _documented(hop.expected))
    if not why:
        return None
    return f"The {hop.name} let the request through: {why}. {_CHECK}"


@cause(
    "an AuthorizationPolicy of the client's pod does not apply to what it sends",
    explains=ROUTED,
    needs=(Evidence.SIDECAR_LINE, Evidence.POLICIES),
)
def policy_of_client(failure: Failure) -> str | None:
    """The request was to be denied, no gateway took part, and a policy on the client's pod lists the host."""
    line, request = failure.line, failure.request
    denial = failure.expected.status == _FORBIDDEN or denial_is_documented(failure.expected.sidecar_hop)
    if line is None or not denial or not failure.answered or failure.exchange.went_to_gateway:
        return None
    if failure.expected.gateway is not None or line.is_denied:
        return None
    policy = next(policies_of_client(failure.configuration, request), None)
    if policy is None:
        return None
    return (
        f"Nothing denied the request: {full_name(policy)} applies to what the client's pod receives, not to what it "
        "sends. Check that the request passes an egress gateway, and that the policy selects that gateway."
    )


_CHECK = as_sentence("check the action and the selector of the AuthorizationPolicy")
