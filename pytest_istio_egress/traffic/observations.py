"""Reads the record that the clients send past their sidecars (what they write: fixtures/traffic/client.yaml).

The clients tell time by their machine's uptime. Each batch says what it is "now", and the recorder writes down when the
batch came; the fastest batch of a pod gives the difference. So all times are the recorder's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

LAG = 6.0
"""Seconds by which what a batch tells may be older than the batch: counted for two, written for two, sent after two."""
SILENT = 20.0
"""Seconds without a batch (one comes every two) after which a client that did not say goodbye is missed."""
_BATCH = re.compile(r"batch (?P<received>\d+\.\d+) (?P<pod>\S+) (?P<uptime>\d+\.\d+)\s*$")


@dataclass(frozen=True)
class Answered:
    """Requests that were answered, or events that came: the first, the last (Unix seconds), and how many."""

    begin: float
    end: float
    count: int


@dataclass(frozen=True)
class Opened:
    """A lasting connection was begun."""

    begin: float


@dataclass(frozen=True)
class Lost:
    """A request, or a lasting connection, that failed: from when to when, curl's exit code, the HTTP status."""

    begin: float
    end: float
    exit: int
    status: int


@dataclass(frozen=True)
class Closed:
    """A lasting connection ended because its own pod was told to."""

    begin: float


Entry = Answered | Opened | Lost | Closed


@dataclass
class Client:
    """What one client pod sent. `entries` are by kind, in order of time; `ended` is when it was told to stop."""

    pod: str
    heard: float
    """When it was last heard of."""
    entries: dict[str, list[Entry]] = field(default_factory=dict)
    ended: float | None = None


@dataclass(frozen=True)
class Record:
    """All that is known. `begins` and `ends` are when the recorder got its first and its last batch."""

    begins: float
    ends: float
    clients: tuple[Client, ...]

    @property
    def complete(self) -> float:
        """Up to when nothing is still on its way from a client that is there (Unix seconds)."""
        there = [client.heard for client in self.clients if client.ended is None and self.ends - client.heard <= SILENT]
        return min(there, default=self.ends + LAG) - LAG


class NoRecordError(Exception):
    """Nothing has been recorded."""


def read(lines: Iterable[str]) -> Record:
    """Read the recorder's log; raises NoRecordError where no client was heard of."""
    received: list[float] = []
    batches: dict[str, list[tuple[float, float]]] = {}
    said: dict[str, dict[str, None]] = {}
    """By pod, each line once: a batch whose receipt was lost on the way is sent again."""
    pod: str | None = None
    for line in lines:
        if match := _BATCH.match(line):
            pod = match["pod"]
            received.append(float(match["received"]))
            batches.setdefault(pod, []).append((float(match["received"]), float(match["uptime"])))
        elif pod is not None and line.strip():
            said.setdefault(pod, {})[line.strip()] = None
    if not received:
        raise NoRecordError
    clients = [_client(name, sent, said.get(name, {})) for name, sent in batches.items()]
    return Record(min(received), max(received), tuple(sorted(clients, key=lambda client: client.pod)))


def _client(pod: str, batches: Iterable[tuple[float, float]], lines: Iterable[str]) -> Client:
    batches = list(batches)
    booted = min(received - uptime for received, uptime in batches)
    client = Client(pod, heard=max(received for received, _ in batches))
    for line in lines:
        try:
            kind, word, *numbers = line.split()
            entry = _entry(word, [float(number) for number in numbers], booted)
        except (ValueError, IndexError):
            continue  # cut off by the log's rotation
        if word == "end":
            client.ended = booted + float(numbers[0])
        elif entry:
            client.entries.setdefault(kind, []).append(entry)
    for entries in client.entries.values():
        entries.sort(key=lambda entry: entry.begin)
    return client


def _entry(word: str, numbers: list[float], booted: float) -> Entry | None:
    match word:
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
    found: dict[str, list[Client]] = {}
    for client in record.clients:
        for kind in client.entries:
            found.setdefault(kind, []).append(client)
    return found
