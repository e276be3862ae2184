"""What was lost, as a table for people (terminal, Markdown) and as data for programs (YAML)."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import Any

import yaml

from pytest_istio_egress.traffic.losses import Loss
from pytest_istio_egress.traffic.observations import Client

MOST_GAPS = 40
"""Gaps that the tables list; the YAML has all."""
_HEAD = ("kind", "asked", "lost", "longest gap", "ended with its pod", "what it is")


def text(found: Sequence[Loss], missed: Sequence[Client]) -> str:
    """Return the terminal's table, and below it every gap."""
    rows = [_HEAD, *(_row(loss) for loss in found)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([*lines, *(f"  {line}" for line in _gaps(found)), *_missed(missed)]) + "\n"


def markdown(found: Sequence[Loss], missed: Sequence[Client]) -> str:
    """Return the same for a page."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(_row(loss) for loss in found)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([*lines, "", *(f"- {line}" for line in (*_gaps(found), *_missed(missed)))]).rstrip() + "\n"


def document(found: Sequence[Loss], missed: Sequence[Client], since: float, until: float) -> str:
    """Return all of it as YAML: times in RFC 3339, durations in seconds."""
    kinds: dict[str, Any] = {
        loss.kind.name: {
            "asked": loss.asked,
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
        for loss in found
    }
    whole = {
        "since": moment(since),
        "until": moment(until),
        "kinds": kinds,
        "missed": {client.pod: moment(client.heard) for client in missed},
    }
    return yaml.safe_dump(whole, sort_keys=False, width=120)


def moment(seconds: float) -> str:
    """Return a time (Unix seconds) in RFC 3339, with hundredths."""
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).isoformat(timespec="milliseconds")[:-10] + "Z"


def _row(loss: Loss) -> tuple[str, ...]:
    return (
        loss.kind.name,
        str(loss.asked),
        str(loss.lost),
        f"{loss.longest:.1f} s" if loss.gaps else "-",
        str(loss.ended) if loss.kind.lasting else "-",
        loss.kind.says,
    )


def _gaps(found: Sequence[Loss]) -> list[str]:
    lines = [
        f"{loss.kind.name}: {moment(gap.begin)} for {gap.seconds:.1f} s{'' if gap.over else ', and not over'}: "
        f"{gap.lost} lost, {'; '.join(gap.saw)} ({gap.client})"
        for loss in found
        for gap in loss.gaps
    ]
    return [*lines[:MOST_GAPS], *([f"and {len(lines) - MOST_GAPS} gaps more"] if len(lines) > MOST_GAPS else [])]


def _missed(missed: Sequence[Client]) -> list[str]:
    return [f"{client.pod} fell silent at {moment(client.heard)}: what it saw since is not known" for client in missed]
