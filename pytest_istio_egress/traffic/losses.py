"""Computes the losses of each kind from the clients' record: counts and gaps.

requests     |ok ok ok|            |ok ok      gap: from the start of the first lost request to the next response
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
"""Seconds without an event on a long-lived connection (five are sent per second) that count as a gap."""

_CURL = {
    5: "cannot resolve proxy", 6: "cannot resolve host", 7: "connection refused", 18: "incomplete response",
    28: "timeout", 35: "TLS handshake failed", 52: "empty response", 56: "connection reset",
    60: "certificate not trusted", 92: "HTTP/2 stream ended early",
}  # fmt: skip


@dataclass(frozen=True)
class Gap:
    """A time without responses for one client."""

    client: str
    """The name of its pod."""
    begin: float
    """Unix seconds."""
    seconds: float
    lost: int
    """Lost requests or connections."""
    saw: tuple[str, ...]
    """The results of curl, such as `3 x HTTP 503`."""
    over: bool = True
    """Whether a response came since; if not, the gap lasts until the end of the report."""


@dataclass(frozen=True)
class Loss:
    """The losses of one kind; the counts are of requests, or of connections where they are long-lived."""

    kind: Kind
    sent: int
    lost: int
    ended: int
    """Connections that were closed by the restart of their own pod, which are not lost."""
    gaps: tuple[Gap, ...]

    @property
    def longest(self) -> float:
        """Seconds of the longest gap, 0 without gaps."""
        return max((gap.seconds for gap in self.gaps), default=0.0)


def losses(record: Record, since: float = -math.inf, until: float = math.inf) -> list[Loss]:
    """Return the losses of each kind between two times (Unix seconds)."""
    clients = kinds_of(record)
    end = min(until, record.ends)
    by_kind = []
    for kind in KINDS:
        if kind.name in clients:
            entries = [(client, _within(client.entries[kind.name], since, end)) for client in clients[kind.name]]
            by_kind.append(_loss(kind, [(client, kept) for client, kept in entries if kept], end))
    return by_kind


def silent_clients(record: Record, until: float = math.inf) -> list[Client]:
    """Return the clients that stopped reporting although they were not stopped: their losses are unknown."""
    end = min(until, record.ends)
    return [client for client in record.clients if client.ended is None and end - client.heard > SILENT]


def _within(entries: Iterable[Entry], since: float, until: float) -> list[Entry]:
    # Responses are reported every two seconds: such an entry counts at its end.
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
    # A connection that was opened earlier counts as well.
    open_before = sum(1 for _, entries in clients if not isinstance(entries[0], Opened))
    sent = counts[Opened] + open_before if kind.lasting else answered + counts[Lost]
    return Loss(kind, sent, counts[Lost], counts[Closed], tuple(sorted(gaps, key=lambda gap: gap.begin)))


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
                gaps.append(Gap(client.pod, last, entry.begin - last, 0, ("no events and no error",)))
            last = entry.end
    if losing:
        gaps.append(_gap(client, losing, until, over=False))
    return gaps


def _first_answer(entry: Answered, losing: Sequence[Lost]) -> float:
    """Return when responses came again: after the last lost request, for an entry begins when its request was sent."""
    return max(entry.begin, losing[-1].end)


def _gap(client: Client, losing: Sequence[Lost], until: float, *, over: bool = True) -> Gap:
    saw = Counter(_saw(lost) for lost in losing)
    begin = losing[0].begin
    return Gap(
        client.pod,
        begin,
        max(0.0, until - begin),
        len(losing),
        tuple(f"{count} x {result}" for result, count in saw.most_common()),
        over,
    )


def _saw(lost: Lost) -> str:
    if lost.exit == 0:
        return f"HTTP {lost.status}"
    meaning = f" ({_CURL[lost.exit]})" if lost.exit in _CURL else ""
    return f"curl exit {lost.exit}{meaning}" + (f" after HTTP {lost.status}" if lost.status else "")
