"""What was lost of each kind, and when: from the record to counts and gaps.

requests     |ok ok ok|            |ok ok      gap: from the first lost request's begin to the next answer
                      lost lost lost
a connection |ev ev ev|        |open|ev ev     gap: from the last event to the next one
                      ......lost
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pytest_istio_egress.traffic.kinds import KINDS, Kind
from pytest_istio_egress.traffic.observations import (
    SILENT,
    Answered,
    Client,
    Closed,
    Entry,
    Lost,
    Opened,
    Record,
    kinds_of,
)

STALL = 3.0
"""Seconds without an event of a lasting connection (five are sent each second) that count as a gap of their own."""

_CURL = {
    5: "proxy not resolved", 6: "host not resolved", 7: "connection refused", 18: "answer cut off",
    28: "no answer in time", 35: "TLS handshake failed", 52: "closed without an answer", 56: "connection reset",
    60: "certificate not trusted", 92: "HTTP/2 stream ended early",
}  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """A time without answers for one client: Unix seconds, seconds, what was lost in it, what curl saw.

    `over` is False while no answer has come since; then it lasts until the end of what was looked at.
    """

    client: str
    begin: float
    seconds: float
    lost: int
    saw: tuple[str, ...]
    over: bool = True


@dataclass(frozen=True)
class Loss:
    """What became of one kind. `asked` and `lost` are requests, or connections where they last.

    `ended` connections ended with their own pod: nothing was lost by the mesh.
    """

    kind: Kind
    asked: int
    lost: int
    ended: int
    gaps: tuple[Gap, ...]

    @property
    def longest(self) -> float:
        """Seconds of the longest gap, 0 where there was none."""
        return max((gap.seconds for gap in self.gaps), default=0.0)


def losses(record: Record, since: float = -math.inf, until: float = math.inf) -> list[Loss]:
    """Say for each kind what was lost of what began between two moments (Unix seconds)."""
    clients = kinds_of(record)
    end = min(until, record.ends)
    found = []
    for kind in KINDS:
        if kind.name in clients:
            entries = [(client, _within(client.entries[kind.name], since, end)) for client in clients[kind.name]]
            found.append(_loss(kind, [(client, kept) for client, kept in entries if kept], end))
    return found


def missed(record: Record, until: float = math.inf) -> list[Client]:
    """Return the clients that fell silent without having been told to stop: nobody knows what they saw."""
    end = min(until, record.ends)
    return [client for client in record.clients if client.ended is None and end - client.heard > SILENT]


def _within(entries: Iterable[Entry], since: float, until: float) -> list[Entry]:
    # Answers are told by the two seconds: such an entry belongs to where it ends.
    return [entry for entry in entries if since <= _end(entry) and entry.begin <= until]


def _end(entry: Entry) -> float:
    return entry.end if isinstance(entry, Answered | Lost) else entry.begin


def _loss(kind: Kind, clients: Sequence[tuple[Client, list[Entry]]], until: float) -> Loss:
    counts: Counter[type] = Counter()
    answered = 0
    gaps: list[Gap] = []
    for client, entries in clients:
        counts.update(type(entry) for entry in entries)
        answered += sum(entry.count for entry in entries if isinstance(entry, Answered))
        gaps += _gaps(client, entries, min(until, client.ended or until), lasting=kind.lasting)
    # A connection that was begun before is asked for all the same.
    going = sum(1 for _, entries in clients if not isinstance(entries[0], Opened))
    asked = counts[Opened] + going if kind.lasting else answered + counts[Lost]
    return Loss(kind, asked, counts[Lost], counts[Closed], tuple(sorted(gaps, key=lambda gap: gap.begin)))


def _gaps(client: Client, entries: Sequence[Entry], until: float, *, lasting: bool) -> list[Gap]:
    gaps: list[Gap] = []
    losing: list[Lost] = []
    last: float | None = None
    for entry in entries:
        if isinstance(entry, Lost):
            losing.append(entry)
        elif isinstance(entry, Answered):
            if losing:
                gaps.append(_gap(client, losing, entry.begin if lasting else _first_answer(entry, losing)))
                losing = []
            elif lasting and last is not None and entry.begin - last > STALL:
                gaps.append(Gap(client.pod, last, entry.begin - last, 0, ("no events, and no error",)))
            last = entry.end
    if losing:
        gaps.append(_gap(client, losing, until, over=False))
    return gaps


def _first_answer(entry: Answered, losing: Sequence[Lost]) -> float:
    """Return when answers came again: a request's entry begins when it was sent, after the last failed one ended."""
    return max(entry.begin, losing[-1].end)


def _gap(client: Client, losing: Sequence[Lost], until: float, *, over: bool = True) -> Gap:
    saw = Counter(_saw(lost) for lost in losing)
    begin = losing[0].begin
    return Gap(
        client.pod,
        begin,
        max(0.0, until - begin),
        len(losing),
        tuple(f"{count} x {what}" for what, count in saw.most_common()),
        over,
    )


def _saw(lost: Lost) -> str:
    if lost.exit == 0:
        return f"HTTP {lost.status}"
    told = f" ({_CURL[lost.exit]})" if lost.exit in _CURL else ""
    return f"curl exit {lost.exit}{told}" + (f" after HTTP {lost.status}" if lost.status else "")
