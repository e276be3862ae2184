"""The path of a request, hop by hop, with what each hop observed of it."""

from __future__ import annotations

from typing import NamedTuple

from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.report.results import Result


class Stop(NamedTuple):
    """One hop of the path, named as in `Difference.hop`."""

    name: str
    observed: str
    """What it observed, in one line; empty where it left no trace."""
    without_trace: str
    """What the missing trace means."""
    differs: bool = False
    """Whether something differs there from the expected outcome."""


NO_LINE = "no line in its access log"


def request_path(result: Result) -> list[Stop]:
    """Return client, sidecar or ztunnel, waypoint, egress gateway, forward proxy (where they have a part), and server.

    The list is empty where nothing was sent.
    """
    if result.exit is None:
        return []
    hops = {difference.hop for difference in result.differences}
    if "control" in hops:  # another request of the same client
        hops.add("client")
    stops = [Stop("client", _curl(result), "")]
    if not result.ztunnel and "ztunnel" not in hops:
        stops.append(Stop("sidecar", _fields(result.sidecar), NO_LINE))
    further = {
        "ztunnel": result.ztunnel,
        "waypoint": result.waypoint,
        "egress gateway": result.gateway,
        "forward proxy": result.forward_proxy,
    }
    for name, log in further.items():
        if log or name in hops:
            stops.append(Stop(name, _fields(log), NO_LINE))
    stops.append(Stop("external server", result.server_saw, "no external server was reached"))
    return [stop._replace(differs=stop.name in hops) for stop in stops]


def _curl(result: Result) -> str:
    client = f"{result.client}: " if result.client else ""
    attempts = f", {result.attempts} attempts" if result.attempts > 1 else ""
    return f"{client}status {result.status or 'none'}, curl exit {result.exit}, {result.seconds:.2f} s{attempts}"


def _fields(log: HopLog | None) -> str:
    """Return the fields of a line that explain the path; a line in an unknown format stays as it is."""
    if log is None:
        return ""
    shown = [f"{name} {value}" for name, value in log.shown() if name not in ("protocol", "server_name")]
    return ", ".join(shown) or log.line
