"""A cause in the protocol of a port: Istio does not read the rules for HTTP that a VirtualService has for the host."""

from __future__ import annotations

from pytest_istio_egress.model.cluster_name import host_of
from pytest_istio_egress.verdict.analysis.virtual_services import why_routes_unread
from pytest_istio_egress.verdict.analysis.visibility import why_not_applied
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import DURATION, OUTCOME, as_sentence, cause, fields


@cause(
    "rules for HTTP on a port of another protocol",
    explains=OUTCOME | DURATION | fields("external server", "request header*") | fields("client", "response header*"),
    needs=(
        Evidence.SIDECAR_LINE, Evidence.SIDECAR_PATH, Evidence.SERVICE_ENTRIES, Evidence.VIRTUAL_SERVICES,
        Evidence.SIDECARS, Evidence.MESH,
    ),
)  # fmt: skip
def http_rules(failure: Failure) -> str | None:
    """The sidecar passed on bytes without reading HTTP, and a VirtualService of the host has routes for HTTP only."""
    line, path, configuration, request = failure.line, failure.sidecar_path, failure.configuration, failure.request
    if line is None or path is None or path.http or path.rule is not None or line.flags != "-":
        return None
    if host_of(line.cluster) != request.host or not failure.answered or not _was_to_be_read(failure):
        return None
    for rule in configuration.rules_of(request.host):
        why = why_routes_unread(configuration, rule, request)
        if why and not why_not_applied(rule, [request.host], configuration, request):
            return (
                f"The sidecar sent the connection to {line.cluster} without reading HTTP. {as_sentence(why)} Check the "
                "protocol of that port, or the kind of the routes."
            )
    return None


def _was_to_be_read(failure: Failure) -> bool:
    """Whether a rule was to decide: what is expected of the sidecar or of headers differs, or no error came."""
    decided = any(
        each.hop == "sidecar" or each.field == "duration" or " header " in f" {each.field} "
        for each in failure.differences
    )
    return decided or failure.curl.status < _ERROR


_ERROR = 300
"""From it on, the host itself may have answered what differs."""
