"""One difference between the expected outcome and the observed one, as data: which hop, which field, both values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

HopName = Literal[
    "client",
    "sidecar",
    "ztunnel",
    "waypoint",
    "egress gateway",
    "forward proxy",
    "external server",
    "control",
    "cluster",
    "",
]
"""Where a difference was observed, in the order of a request's path.

`control` stands for the control request of a block, `cluster` for a resource or a proxy's configuration that was read
without any request; empty where an older report does not tell.
"""
HOPS: tuple[HopName, ...] = get_args(HopName)


@dataclass(frozen=True)
class Difference:
    """A field of one hop that is not as documented; `expected` and `seen` are texts."""

    hop: HopName
    field: str
    expected: str
    seen: str

    def __str__(self) -> str:
        """Return it as a line of a report."""
        subject = self.field if self.hop in ("client", "cluster", "") else f"{self.hop} {self.field}"
        return f"{subject}: expected {self.expected}, got {self.seen}"

    def unrendered(self, unrender: Callable[[str], str]) -> Difference:
        """Return it with the manifests' names: `unrender` puts them in place of the run's."""
        return Difference(self.hop, unrender(self.field), unrender(self.expected), unrender(self.seen))

    def to_mapping(self) -> dict[str, str]:
        """Return it as a mapping for JSON and YAML."""
        return asdict(self)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Difference:
        """Read the result of `to_mapping`; KeyError or ValueError where the mapping is something else."""
        hop = next((name for name in HOPS if name == values["hop"]), None)
        if hop is None:
            raise ValueError(f"unknown hop {str(values['hop'])[:30]!r}")
        return cls(hop, str(values["field"]), str(values["expected"]), str(values["seen"]))
