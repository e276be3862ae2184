"""What one proxy logged about a request, as records and reports carry it: the raw line, and its fields as data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from pytest_istio_egress.model.access_log import AccessLogLine, parse_line

ABSENT = "-"
"""Envoy's own sign for a field without a value."""


@dataclass(frozen=True, kw_only=True)
class HopLog:
    """One line of an access log. A field is empty (status: 0) where Envoy logged none, or the format is unknown."""

    line: str
    """The line as the proxy wrote it, with the manifests' names."""
    status: int = 0
    flags: str = ""
    details: str = ""
    cluster: str = ""
    route: str = ""
    protocol: str = ""
    server_name: str = ""
    upstream: str = ""
    failure: str = ""
    """Envoy's upstream transport failure reason."""
    seconds: float | None = None
    """Envoy's own duration of the request or connection."""

    @classmethod
    def of(cls, parsed: AccessLogLine, unrender: Callable[[str], str] = str) -> HopLog:
        """Return the fields of a parsed line; `unrender` puts the manifests' names in place of the run's."""
        texts = {name: getattr(parsed, name) for name in TEXT_FIELDS}
        return cls(
            line=unrender(parsed.raw),
            status=parsed.status or 0,
            seconds=None if parsed.duration is None else parsed.duration / 1000,
            **{name: unrender(text) for name, text in texts.items() if text not in (ABSENT, None)},
        )

    @classmethod
    def parse(cls, raw: str) -> HopLog:
        """Read a raw line; one in an unknown format keeps only its text."""
        parsed = parse_line(raw)
        return cls.of(parsed) if parsed else cls(line=raw)

    @property
    def parsed(self) -> bool:
        """Whether any field is known."""
        return any(True for _ in self.shown())

    def shown(self) -> Iterator[tuple[str, str | float]]:
        """Yield the names and values of the fields that are set, without the line itself."""
        for name in ("status", *TEXT_FIELDS):
            if value := getattr(self, name):
                yield name, value
        if self.seconds is not None:
            yield "seconds", self.seconds

    def to_mapping(self) -> dict[str, str | float]:
        """Return it as a mapping for JSON and YAML; fields that are not set are left out."""
        return {"line": self.line, **dict(self.shown())}

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> HopLog:
        """Read the result of `to_mapping`; KeyError, TypeError or ValueError where the mapping is something else."""
        unknown = values.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"unknown field {str(min(unknown, key=str))[:30]!r} of an access log line")
        status = values.get("status", 0)
        if isinstance(status, bool) or not isinstance(status, int):
            raise TypeError("the status of an access log line is a number")
        texts = {name: values[name] for name in ("line", *TEXT_FIELDS) if name in values}
        if not all(isinstance(text, str) for text in texts.values()):
            raise TypeError("the fields of an access log line are texts")
        seconds = values.get("seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float | None):
            raise TypeError("the duration of an access log line is a number")
        return cls(**{"line": values["line"]} | texts, status=status, seconds=seconds)


TEXT_FIELDS = ("flags", "details", "cluster", "route", "protocol", "server_name", "upstream", "failure")
"""The fields that are texts, in the order in which reports show them."""
