"""A behaviour that does not hold, told as an engineer would: what is documented, what was sent, what was seen, why."""

from __future__ import annotations

from pytest_istio_egress.case import Case
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.diagnosis import cause
from pytest_istio_egress.evidence import Verdict


def explain(case: Case, verdict: Verdict, names: Names) -> str:
    """Return the failure's text, several lines, with the manifests' own names except in what is to be pasted."""
    exchange = verdict.exchange
    differences = [names.plain(str(difference)) for difference in verdict.differences]
    lines = [
        f"documented: {case.says}",
        f"            {case.source}",
        f"sent:       {exchange.client}",
        *(f"differs:    {difference}" for difference in differences),
        f"sidecar:    {exchange.sidecar.raw if exchange.sidecar else 'no line in its access log'}",
    ]
    if verdict.expected.gateway is not None:
        lines.append(f"gateway:    {exchange.gateway.raw if exchange.gateway else 'no line in its access log'}")
    lines.append(f"cause:      {names.plain(cause(verdict))}")
    lines.append(f"asked:      {verdict.attempts} times" if verdict.attempts > 1 else "asked:      once")
    return "\n".join(lines)
