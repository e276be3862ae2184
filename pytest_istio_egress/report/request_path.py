"""The way that a request took, stop by stop, with what each stop saw of it: from its own words, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pytest_istio_egress.model.access_log import parse_line
from pytest_istio_egress.report.results import Result


class Stop(NamedTuple):
    """One stop. `saw` is empty where it left no word; then `silence` says what that means.

    `differs` is whether a difference from what is documented was seen there.
    """

    name: str
    saw: str
    silence: str
    differs: bool = False


def way_of(result: Result) -> list[Stop]:
    """Return client, sidecar, gateway and forward proxy (where they are part of the case) and outside.

    Nothing where nothing was sent.
    """
    if result.exit is None:
        return []
    asked = f"{result.client}: " if result.client else ""
    curl = f"{asked}status {result.status or 'none'}, curl exit {result.exit}, {result.seconds:.2f} s"
    times = f", asked {result.attempts} times" if result.attempts > 1 else ""
    stops = [
        Stop("client", curl + times, ""),
        Stop("sidecar", _log(result.sidecar), "no line for it in the access log"),
    ]
    if result.gateway or any("gateway" in difference for difference in result.differences):
        stops.append(Stop("egress gateway", _log(result.gateway), "no line for it in the access log"))
    if result.forward_proxy or any("forward proxy" in difference for difference in result.differences):
        stops.append(Stop("forward proxy", _log(result.forward_proxy), "no line for it in its log"))
    stops.append(Stop("outside", result.server_saw, "nobody outside answered"))
    return [stop._replace(differs=_differs(stop.name, result.differences)) for stop in stops]


SIGNS = {
    "client": ("HTTP status", "curl's", "the answer", "address curl connected to", "time spent", "a control"),
    "sidecar": ("the sidecar's",),
    "egress gateway": ("the gateway's", "the egress gateway's"),
    "forward proxy": ("the forward proxy's",),
    "outside": ("outside server", "at the far end"),
}
"""Where a difference was seen, by the words of comparison.py."""


def _differs(name: str, differences: Sequence[str]) -> bool:
    told = [difference.partition(": expected")[0] for difference in differences]
    return any(sign in what for sign in SIGNS[name] for what in told)


def _log(raw: str) -> str:
    """Return the telling fields of a line of an access log; a line in another format stays as it is."""
    line = parse_line(raw) if raw else None
    if line is None:
        return raw
    fields = {
        "status": str(line.status or "-"),
        "flags": line.flags,
        "details": line.details,
        "cluster": line.cluster,
        "route": line.route,
        "upstream": line.upstream,
        "failure": line.failure,
    }
    return ", ".join(f"{name} {value}" for name, value in fields.items() if value not in ("-", ""))
