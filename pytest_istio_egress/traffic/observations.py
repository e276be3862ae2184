"""Reads the record of the clients, which bypasses their sidecars (format: fixtures/traffic/script.yaml).

The clients' times are uptimes of their node. Each batch has the current uptime, and the recorder adds the time of its
arrival; the fastest batch of a pod gives the difference. So all times here are the recorder's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LAG = 6.0
"""The most seconds by which an entry is older than its batch: two each to count, to write and to send it."""
SILENT = 20.0
"""Seconds without a batch (one comes every two) after which a client that did not stop counts as silent."""
_BATCH = re.compile(r"batch (?P<received>\d+\.\d+) (?P<pod>\S+) (?P<uptime>\d+\.\d+)\s*$")


@dataclass(frozen=True)
class Answered:
    """Requests with a response, or events that arrived: first and last time (Unix seconds), and count."""

    begin: float
    end: float
    count: int


@dataclass(frozen=True)
class Opened:
    """A long-lived connection was opened."""

    begin: float


@dataclass(frozen=True)
class Lost:
    """A failed request or long-lived connection: start and end time, curl's exit code, HTTP status."""

    begin: float
    end: float
    exit: int
    status: int


@dataclass(frozen=True)
class Closed:
    """A long-lived connection that its own pod closed when it stopped."""

    begin: float


Entry = Answered | Opened | Lost | Closed


@dataclass
class Client:
    """The record of one client pod."""

    pod: str
    heard: float
    """When its last batch arrived."""
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    """By kind, in the order of time."""
    ended: float | None = None
    """When it stopped, None while it runs."""


@dataclass(frozen=True)
class Record:
    """The record of all clients."""

    begins: float
    """When the first batch arrived."""
    ends: float
    """When the last batch arrived."""
    clients: tuple[Client, ...]

    @property
    def complete(self) -> float:
        """The time (Unix seconds) up to which the entries of all running clients have arrived."""
        running = [
            client.heard for client in self.clients if client.ended is None and self.ends - client.heard <= SILENT
        ]
        return min(running, default=self.ends + LAG) - LAG


class NoRecordError(Exception):
    """No client has recorded anything."""


def read(lines: Iterable[str]) -> Record:
    """Read the recorder's log; raises NoRecordError without any batch."""
    received: list[float] = []
    batches: dict[str, list[tuple[float, float]]] = {}
    lines_of: dict[str, dict[str, None]] = {}
    """By pod, each line once: a batch whose receipt was lost is sent again."""
    pod: str | None = None
    for line in lines:
        if match := _BATCH.match(line):
            pod = match["pod"]
            received.append(float(match["received"]))
            batches.setdefault(pod, []).append((float(match["received"]), float(match["uptime"])))
        elif pod is not None and line.strip():
            lines_of.setdefault(pod, {})[line.strip()] = None
    if not received:
        raise NoRecordError
    clients = [_client(name, sent, lines_of.get(name, {})) for name, sent in batches.items()]
    return Record(min(received), max(received), tuple(sorted(clients, key=lambda client: client.pod)))


def _client(pod: str, batches: Iterable[tuple[float, float]], lines: Iterable[str]) -> Client:
    batches = list(batches)
    booted = min(received - uptime for received, uptime in batches)
    client = Client(pod, heard=max(received for received, _ in batches))
    for line in lines:
        try:
            kind, event, *numbers = line.split()
            entry = _entry(event, [float(number) for number in numbers], booted)
        except (ValueError, IndexError):
            continue  # cut off by the log's rotation
        if event == "end":
            client.ended = booted + float(numbers[0])
        elif entry:
            client.entries.setdefault(kind, []).append(entry)
    for entries in client.entries.values():
        entries.sort(key=lambda entry: entry.begin)
    return client


def _entry(event: str, numbers: list[float], booted: float) -> Entry | None:
    match event:
        case "ok":
            return Answered(booted + numbers[0], booted + numbers[1], int(numbers[2]))
        case "open":
            return Opened(booted + numbers[0])
        case "lost":
            return Lost(booted + numbers[0], booted + numbers[1], int(numbers[2]), int(numbers[3]))
        case "closed":
            return Closed(booted + numbers[0])
    return None


def kinds_of(record: Record) -> Mapping[str, list[Client]]:
    """Return the clients of each kind."""
    clients: dict[str, list[Client]] = {}
    for client in record.clients:
        for kind in client.entries:
            clients.setdefault(kind, []).append(client)
    return clients
