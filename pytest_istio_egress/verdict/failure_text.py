"""The text of a failure: the documented behaviour, the request, the differences, the evidence and the cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.verdict.outcome_text import expected_text, seen_text, unsteady_lines
from pytest_istio_egress.verdict.verdict import Verdict

NO_LINE = "no line in its access log"


def probe_failure(case: Case, verdict: Verdict, unrender: Callable[[str], str]) -> str:
    """Return the text for a probe that failed, several lines.

    `unrender` puts the manifests' names in place of the run's, except in the command, which is meant to be pasted.
    """
    exchange = verdict.exchange
    lines = [
        *_documented(case),
        f"sent:       {exchange.kubectl_command}",
        *(f"differs:    {unrender(str(difference))}" for difference in verdict.differences),
        f"expected:   {expected_text(verdict.probe, verdict.expected)}",
        f"seen:       {unrender(seen_text(verdict))}",
    ]
    if verdict.expected.ztunnel is None:
        lines.append(f"sidecar:    {exchange.sidecar.raw if exchange.sidecar else NO_LINE}")
    else:
        lines.append(f"ztunnel:    {exchange.ztunnel.raw if exchange.ztunnel else NO_LINE}")
    if verdict.expected.waypoint is not None:
        lines.append(f"waypoint:   {exchange.waypoint.raw if exchange.waypoint else NO_LINE}")
    if verdict.expected.gateway is not None:
        lines.append(f"gateway:    {exchange.gateway.raw if exchange.gateway else NO_LINE}")
    if verdict.expected.proxy is not None:
        lines.append(f"proxy:      {exchange.proxy.raw if exchange.proxy else NO_LINE}")
    lines.append(f"cause:      {unrender(verdict.cause)}")
    lines.append(f"attempts:   {verdict.attempts}")
    lines += [f"unsteady:   {unrender(line)}" for line in unsteady_lines(verdict)]
    return "\n".join(lines)


def check_failure(case: Case, differences: Sequence[Difference], cause: str = "") -> str:
    """Return the text for a failed check of a proxy's configuration or of a resource, which no probe was sent for."""
    lines = [*_documented(case), *(f"differs:    {difference}" for difference in differences)]
    return "\n".join([*lines, *([f"cause:      {cause}"] if cause else [])])


def _documented(case: Case) -> list[str]:
    return [f"documented: {case.summary}", f"            {case.source}"]
