"""The access log that the proxies of a mesh write by default, as data and as the value of the fact `access-log`."""

from __future__ import annotations

from dataclasses import dataclass

TEXT = "text"
JSON = "json"
CUSTOM = "custom format"
NO_LOG = "none"
_FILTERED = "filtered"
_PROVIDER = "provider "
_BY_TELEMETRY = " (Telemetry)"


@dataclass(frozen=True)
class MeshLog:
    """The log, as a Telemetry of the root namespace, default providers or the mesh configuration decide it."""

    encoding: str = ""
    """TEXT, JSON or CUSTOM; empty where proxies do not write the log to their own output."""
    providers: tuple[str, ...] = ()
    """The extension providers that get the log."""
    filtered: bool = False
    """Whether an expression leaves requests out."""
    by_telemetry: bool = False
    """Whether a Telemetry decides it."""

    @property
    def has_compared_fields(self) -> bool:
        """Whether each request has a line with the fields that tests compare."""
        return self.encoding in (TEXT, JSON) and not self.filtered

    def __str__(self) -> str:
        """Return the value of the fact `access-log`, which `parse` reads."""
        if not self.encoding and not self.providers:
            return NO_LOG
        filtered = [_FILTERED] if self.filtered else []
        words = [*filter(None, [self.encoding]), *(f"{_PROVIDER}{each}" for each in self.providers), *filtered]
        return ", ".join(words) + (_BY_TELEMETRY if self.by_telemetry else "")

    @classmethod
    def parse(cls, text: str) -> MeshLog:
        """Read a value of the fact `access-log`, such as a user's; any other word is an encoding of its own."""
        words = [word.strip() for word in text.removesuffix(_BY_TELEMETRY).split(",")]
        encodings = [word for word in words if not word.startswith(_PROVIDER) and word not in (_FILTERED, NO_LOG)]
        return cls(
            encoding=", ".join(encodings),
            providers=tuple(word.removeprefix(_PROVIDER) for word in words if word.startswith(_PROVIDER)),
            filtered=_FILTERED in words,
            by_telemetry=text.endswith(_BY_TELEMETRY),
        )
