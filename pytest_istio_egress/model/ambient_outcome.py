"""Expected outcomes of an ambient client's probes: through ztunnel alone, or through ztunnel and a waypoint."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from pytest_istio_egress.model.outcome import PROBED_AT_WAYPOINT, PROBED_HOST, Evidence, Hop, Outcome, Tunnel

WAYPOINT = "waypoint.egress-ambient"
"""The waypoint of the ambient client's namespace, by the manifests' names (fixtures/ambient.yaml)."""


def reached_by_ztunnel(
    server: str = "outside", *, service: str = PROBED_HOST, status: int = 200, **evidence: Unpack[Evidence]
) -> Outcome:
    """Expect a response of an external server, to which ztunnel forwarded the connection by itself.

    `service` is the host of the entry that it belongs to, by default the probe's; "" for none.
    """
    tunnel = Tunnel(service=service, hbone=False)
    stated = {"ztunnel": tunnel, "source": "client", **evidence}
    return Outcome(**{**stated, "status": status, "reached": server, "sidecar": False})  # type: ignore[arg-type]  # Evidence has the types of Outcome's fields


def reached_by_waypoint(
    server: str = "outside", *, status: int = 200, waypoint: Hop | None = None, **evidence: Unpack[Evidence]
) -> Outcome:
    """Expect a response of an external server, to which the waypoint forwarded the request; `waypoint` is its line."""
    hop = waypoint or Hop(cluster=PROBED_AT_WAYPOINT)
    stated = {**_through(hop), "source": "waypoint", **evidence}
    return Outcome(**{**stated, "status": status, "reached": server, "sidecar": False})  # type: ignore[arg-type]  # as above


def ended_by_waypoint(*, status: int, waypoint: Hop, **evidence: Unpack[Evidence]) -> Outcome:
    """Expect that the waypoint itself responds, and nothing is forwarded."""
    return Outcome(**{**_through(waypoint), **evidence, "status": status, "sidecar": False})  # type: ignore[arg-type]  # as above


def _through(hop: Hop) -> dict[str, object]:
    tunnel = Tunnel(service=PROBED_HOST, hbone=True)
    return {"ztunnel": tunnel, "waypoint": replace(hop, at=hop.at or WAYPOINT)}
