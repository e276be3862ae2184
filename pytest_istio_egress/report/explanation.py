"""A behaviour that does not hold, told as an engineer would: what is documented, what was sent, what was seen, why."""

from __future__ import annotations

from pytest_istio_egress.case import Case
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.diagnosis import cause
from pytest_istio_egress.evidence import Verdict
from pytest_istio_egress.report.record import expected_text, seen_text


def explain(case: Case, verdict: Verdict, names: Names) -> str:
    """Return the failure's text, several lines, with the manifests' own names except in what is to be pasted."""
    exchange = verdict.exchange
    lines = [
        *_documented(case),
        f"sent:       {exchange.client}",
        *(f"differs:    {names.plain(str(difference))}" for difference in verdict.differences),
        f"expected:   {expected_text(verdict.expected)}",
        f"seen:       {names.plain(seen_text(exchange))}",
        f"sidecar:    {exchange.sidecar.raw if exchange.sidecar else 'no line in its access log'}",
    ]
    if verdict.expected.gateway is not None:
        lines.append(f"gateway:    {exchange.gateway.raw if exchange.gateway else 'no line in its access log'}")
    if verdict.expected.proxy is not None:
        lines.append(f"proxy:      {exchange.proxy.raw if exchange.proxy else 'no line in its log'}")
    lines.append(f"cause:      {names.plain(cause(verdict))}")
    lines.append(f"asked:      {verdict.attempts} times" if verdict.attempts > 1 else "asked:      once")
    return "\n".join(lines)


def explain_fact(case: Case, differs: str, why: str = "") -> str:
    """Return the same for what no probe tells: a fact of a proxy's configuration, or the API's answer."""
    return "\n".join([*_documented(case), f"differs:    {differs}", *([f"cause:      {why}"] if why else [])])


def _documented(case: Case) -> list[str]:
    return [f"documented: {case.says}", f"            {case.source}"]
