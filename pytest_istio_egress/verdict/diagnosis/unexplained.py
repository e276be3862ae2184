"""Where no cause fits: what is known of the request's path, and what was ruled out."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.extensions import extensions_of
from pytest_istio_egress.verdict.diagnosis.extensions import patches_of
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop

NO_CAUSE = "No known cause fits"
"""How the sentence for such a failure begins."""


def unexplained(failure: Failure) -> str:
    """Return the sentence for a failure that no cause explains."""
    known, ruled_out = "; ".join(_known(failure)), ", ".join(_ruled_out(failure))
    parts = [f"{NO_CAUSE}."]
    if known:
        parts.append(f"Known: {known}.")
    if ruled_out:
        parts.append(f"Ruled out: {ruled_out}.")
    return " ".join([*parts, "Check the differences and the access log lines."])


def _known(failure: Failure) -> Iterator[str]:
    if line := failure.ztunnel_line:
        of = f" of {line.service}" if line.service else ""
        through = f" through a tunnel (HBONE) to {line.destination}" if line.hbone else f" to {line.destination}"
        yield f"ztunnel sent the connection{of}{through}{f' ({line.error})' if line.error else ''}"
    for hop in reversed(failure.hops):
        yield _hop(hop)
        touched = [*patches_of(failure, hop.name, hop.path)]
        names = dict.fromkeys(full_name(patch.document) for patch in touched)
        workload = failure.workload(hop.name)
        others = [full_name(each) for each in extensions_of(failure.configuration, workload)] if workload else []
        if listed := [*names, *others]:
            yield f"the {hop.name} is also changed by {', '.join(listed)}"


def _hop(hop: LoggedHop) -> str:
    line = hop.line
    by = f" by {hop.path.rule}" if hop.path and hop.path.rule and line.cluster in hop.path.clusters else ""
    ended = f", connection termination details {line.termination}" if line.termination != "-" else ""
    if line.cluster == "-":
        return f"the {hop.name} answered {line.status or 'without a status'} itself ({line.details}{ended})"
    return f"the {hop.name} sent the request to {line.cluster}{by} ({line.upstream}, {line.details}{ended})"


def _ruled_out(failure: Failure) -> Iterator[str]:
    context = failure.context
    if failure.line is not None and not context.rejected and not context.incomplete:
        yield "an update that a proxy rejected"
    if failure.line is not None and all(hop.line.flags_known and not hop.flags for hop in failure.hops):
        yield "an error that an Envoy reports by a response flag"
    filters_read = failure.hops and "EnvoyFilter" not in failure.configuration.unread
    if filters_read and not any(patches_of(failure, hop.name, hop.path) for hop in failure.hops):
        yield "an EnvoyFilter on the path"
