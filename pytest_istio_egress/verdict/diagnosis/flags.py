"""Causes that an Envoy reports by its response flags alone: each flag that no more particular cause explains."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import DENIED, Failure, LoggedHop
from pytest_istio_egress.verdict.diagnosis.rule import DURATION, OUTCOME, Cause, cause
from pytest_istio_egress.verdict.proxy_path.origin import origin_of


def _rule(hop: LoggedHop) -> str:
    return f" of {hop.path.rule}" if hop.path and hop.path.rule else ""


@cause("a rule injects a fault (FI)", explains=OUTCOME | DURATION, needs=(Evidence.FLAGS,))
def fault_injected(failure: Failure) -> str | None:
    """A rule made an Envoy fail the request."""
    hop = failure.flagged("FI")
    if hop is None:
        return None
    route = f" on route {hop.line.route}" if hop.line.route != "-" else ""
    return f"The {hop.name} injected a fault (FI){route}. Check http.fault{_rule(hop) or ' of the VirtualService'}."


@cause("a rule injects a delay (DI)", explains=OUTCOME | DURATION, needs=(Evidence.FLAGS,))
def delay_injected(failure: Failure) -> str | None:
    """A rule made an Envoy delay the request."""
    hop = failure.flagged("DI")
    if hop is None:
        return None
    return (
        f"The {hop.name} delayed the request (DI), which took {hop.line.duration / 1000:g} s. Check http.fault.delay"
        f"{_rule(hop) or ' of the VirtualService'}."
    )


@cause("no route (NR)", explains=OUTCOME, needs=(Evidence.FLAGS, Evidence.DETAILS))
def no_route(failure: Failure) -> str | None:
    """A listener exists, and nothing in it matches."""
    hop = failure.flagged("NR")
    if hop is None:
        return None
    stated = ""
    host = hop.path.virtual_host if hop.path else None
    if host is not None and hop.path is not None and hop.path.route is None:
        rules = sorted({str(origin) for route in host.get("routes") or [] if (origin := origin_of(route))})
        stated = f" The routes of the host come from {' and '.join(rules)}, and none of them matches." if rules else ""
    return (
        f"The {hop.name} has no route for the request (NR, {hop.line.details}): it has a listener, but nothing in it "
        f"matches.{stated} Check the match conditions (host, path, port, sniHosts) for {_requested(hop)}."
    )


def _requested(hop: LoggedHop) -> str:
    return hop.line.authority if hop.line.authority != "-" else hop.line.server_name


@cause("the client disconnected (DC)", explains=OUTCOME | DURATION, needs=(Evidence.FLAGS, Evidence.CURL_EXIT))
def client_disconnected(failure: Failure) -> str | None:
    """The client did not wait for the answer."""
    hop = failure.flagged("DC")
    if hop is None or failure.curl.exit != 28:
        return None
    where = f" from {hop.line.upstream} ({hop.line.cluster})" if hop.line.upstream != "-" else ""
    return (
        f"The client ended the request after {failure.curl.seconds:g} s, before the {hop.name} had an answer{where} "
        "(DC). Check how long the host takes, and curl's --max-time."
    )


@cause("an Envoy ends the connection itself", explains=OUTCOME | DURATION, needs=(Evidence.TERMINATION,))
def connection_ended(failure: Failure) -> str | None:
    """Envoy's connection termination details, which are not documented, say why it ended the connection."""
    hop = next((each for each in failure.hops if _is_ended(each)), None)
    if hop is None:
        return None
    known = f"The {hop.name} ended the connection itself (connection termination details {hop.line.termination})"
    for sign, (meaning, check) in _ENDED.items():
        if hop.line.termination.startswith(sign):
            return f"{known}: {meaning}. Check {check}."
    return f"{known}. Check the log and the filters of the {hop.name}."


def _is_ended(hop: LoggedHop) -> bool:
    """Whether the line has termination details that are not documented; a policy's denial has causes of its own."""
    termination = hop.line.termination
    return termination not in ("-", hop.expected.termination) and not termination.startswith(DENIED)


_ENDED: Mapping[str, tuple[str, str]] = {
    "transport_socket_timeout": (
        "its peer did not complete the TLS handshake in time",
        "whether the client speaks TLS on that port",
    ),
    "ext_authz": (
        "an external authorization service denied it, or did not answer",
        "the AuthorizationPolicies with action CUSTOM, and the service of their provider",
    ),
}
"""By the beginning of the termination details, as Envoy's sources have them: what they mean, and what to check."""


@cause("an external authorization service denied the request (UAEX)", explains=OUTCOME, needs=(Evidence.FLAGS,))
def not_authorized(failure: Failure) -> str | None:
    """An external service denied the request, or gave Envoy no valid answer."""
    hop = failure.flagged("UAEX")
    if hop is None:
        return None
    check = "Check the AuthorizationPolicies with action CUSTOM, and the EnvoyFilters with ext_authz"
    if hop.line.details.startswith("ext_authz_error"):
        return (
            f"The {hop.name} got no valid answer from the external authorization service, and so denied the request "
            f"(UAEX, {hop.line.details}). {check}: the service and the port of their provider."
        )
    return (
        f"An external authorization service denied the request at the {hop.name} (UAEX, {hop.line.details}). {check}."
    )


def _flag(flag: str, name: str, text: str, *, explains: frozenset[tuple[str, str]] = OUTCOME) -> Cause:
    """Return the cause that a flag stands for; the text may name {hop}, {cluster}, {upstream}, {host} and {details}."""

    def sentence(failure: Failure) -> str | None:
        hop = failure.flagged(flag)
        if hop is None:
            return None
        line = hop.line
        host = _requested(hop)
        return text.format(hop=hop.name, cluster=line.cluster, upstream=line.upstream, details=line.details, host=host)

    return Cause(f"{name} ({flag})", explains, (Evidence.FLAGS,), sentence)


PLAIN_FLAGS: tuple[Cause, ...] = (
    _flag(
        "UR",
        "the upstream reset the request",
        "The upstream {upstream} reset the request of the {hop} (UR, {details}). Check the host, and the "
        "proxies before "
        "it.",
    ),
    _flag(
        "UMSDR",
        "a request reached its longest duration",
        "The {hop} ended the request to {cluster} because it reached the longest duration that is allowed (UMSDR). "
        "Check max_stream_duration in `istioctl proxy-config routes`, and the EnvoyFilter that sets it.",
    ),
    _flag(
        "DPE",
        "the client's request is not valid HTTP",
        "The {hop} could not read the client's request as HTTP (DPE, {details}). Check the protocol that the client "
        "speaks on this port, and the length of its headers.",
    ),
    _flag(
        "SI",
        "an idle stream timed out",
        "The {hop} ended the request because nothing was sent on it for too long (SI). Check the idle timeout of the "
        "stream, and how long the host pauses.",
    ),
    _flag(
        "NFCF",
        "a filter's configuration is missing",
        "The {hop} lacks the configuration of a filter (NFCF). Check EnvoyFilters and WasmPlugins that add "
        "filters, and `istioctl proxy-status`.",
    ),
    _flag(
        "LR",
        "the proxy reset the connection itself",
        "The {hop} reset the connection to {cluster} itself (LR, {details}). Check the {hop}'s log.",
    ),
    _flag(
        "RL",
        "a rate limit rejected the request",
        "A rate limit rejected the request at the {hop} (RL, {details}). Check the EnvoyFilters with a rate limit "
        "filter.",
    ),
    _flag(
        "RLSE",
        "the rate limit service failed",
        "The rate limit service failed at the {hop} (RLSE). Check that service, and the EnvoyFilter that names it.",
    ),
    _flag(
        "OM",
        "the proxy is overloaded",
        "The overload manager of the {hop} rejected the request (OM). Check the {hop}'s memory and connections.",
    ),
    _flag(
        "IH",
        "a header is not valid",
        "The {hop} rejected the request because of a header that is not valid (IH, {details}). Check the headers that "
        "the client sends.",
    ),
    _flag(
        "DF",
        "a name was not resolved",
        "DNS returned no address to the {hop} for {host} (DF, {details}). Check whether DNS resolves that name from "
        "the {hop}'s pod.",
    ),
)
"""Flags that say all that is known."""
