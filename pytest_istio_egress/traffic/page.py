"""Formats losses as a table (terminal, Markdown) and as data (YAML)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import yaml

from pytest_istio_egress.traffic.losses import Loss
from pytest_istio_egress.traffic.observations import Client

MOST_GAPS = 40
"""The number of gaps in the tables; the YAML has all."""
_HEAD = ("kind", "sent", "lost", "longest gap", "closed with pod", "description")


def text(losses: Sequence[Loss], silent: Sequence[Client]) -> str:
    """Return a table for the terminal, and the gaps below it."""
    rows = [_HEAD, *(_row(loss) for loss in losses)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"  {line}" for line in _gaps(losses)), *_silent(silent)]) + "\n"


def markdown(losses: Sequence[Loss], silent: Sequence[Client]) -> str:
    """Return the same as Markdown."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(loss) for loss in losses)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {line}" for line in (*_gaps(losses), *_silent(silent)))]).rstrip() + "\n"


def document(losses: Sequence[Loss], silent: Sequence[Client], since: float, until: float) -> str:
    """Return the losses as YAML: times in RFC 3339, durations in seconds."""
    kinds: dict[str, Any] = {
        loss.kind.name: {
            "sent": loss.sent,
            "lost": loss.lost,
            "ended_with_pod": loss.ended,
            "longest_gap": round(loss.longest, 2),
            "gaps": [
                {
                    "client": gap.client,
                    "start": moment(gap.begin),
                    "seconds": round(gap.seconds, 2),
                    "lost": gap.lost,
                    "saw": list(gap.saw),
                    "over": gap.over,
                }
                for gap in loss.gaps
            ],
        }
        for loss in losses
    }
    report = {
        "since": moment(since),
        "until": moment(until),
        "kinds": kinds,
        "silent_clients": {client.pod: moment(client.heard) for client in silent},
    }
    return yaml.safe_dump(report, sort_keys=False, width=120)


def moment(seconds: float) -> str:
    """Return a time (Unix seconds) in RFC 3339, with hundredths."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")[:-10] + "Z"


def _row(loss: Loss) -> tuple[str, ...]:
    return (
        loss.kind.name,
        str(loss.sent),
        str(loss.lost),
        f"{loss.longest:.1f} s" if loss.gaps else "-",
        str(loss.ended) if loss.kind.lasting else "-",
        loss.kind.description,
    )


def _gaps(losses: Sequence[Loss]) -> list[str]:
    lines = [
        f"{loss.kind.name}: {moment(gap.begin)} for {gap.seconds:.1f} s{'' if gap.over else ' so far'}: "
        f"{gap.lost} lost, {'; '.join(gap.saw)} ({gap.client})"
        for loss in losses
        for gap in loss.gaps
    ]
    return [*lines[:MOST_GAPS], *([f"and {len(lines) - MOST_GAPS} more gaps"] if len(lines) > MOST_GAPS else [])]


def _silent(clients: Sequence[Client]) -> list[str]:
    return [f"{client.pod} stopped reporting at {moment(client.heard)}: later losses are unknown" for client in clients]
