"""The cluster of a run: chosen, found to answer and looked at once, and the same in every worker."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pytest_istio_egress.model.timeouts import Timeouts

Say = Callable[[str], None]
"""Tells the user one line."""


@dataclass(frozen=True)
class Target:
    """The cluster of one run.

    `kubeconfig` None: the files named by $KUBECONFIG. `context` is always a name, so that a changed current context
    cannot move a run to another cluster. `run` is six letters and digits, a letter first: it stands in names.
    `mesh` holds the facts that were found out before the first case (mesh_facts.py), `placement` what the run's pods
    differ in from the plain manifests (placement.py), `require` the features whose lack is a failure.
    """

    kind: str
    kubeconfig: Path | None
    context: str | None
    run: str
    notes: tuple[str, ...]
    timeout_scale: float
    allow_mesh_wide: bool
    mesh: Mapping[str, Any] = field(default_factory=dict)
    placement: Mapping[str, Any] = field(default_factory=dict)
    require: tuple[str, ...] = ()

    @property
    def timeouts(self) -> Timeouts:
        """The table of waits, as this run has it scaled."""
        return Timeouts().scaled(self.timeout_scale)

    def to_json(self) -> str:
        """Write it for an xdist worker."""
        return json.dumps(asdict(self) | {"kubeconfig": self.kubeconfig and str(self.kubeconfig)})

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        kubeconfig = fields["kubeconfig"] and Path(fields["kubeconfig"])
        return cls(
            **(
                fields
                | {"kubeconfig": kubeconfig, "notes": tuple(fields["notes"]), "require": tuple(fields["require"])}
            )
        )


class TargetError(Exception):
    """There is a cluster to ask, but it can't be asked. The message is one line."""


class NoClusterError(TargetError):
    """Nothing says which cluster to ask."""


@dataclass(frozen=True)
class Prepared:
    """A target that answered, its Kubernetes version, and the embedded cluster to end with the run, if any.

    `gateway` says, for people, which egress gateway the mesh has; `features` why one is missing, None where it's there.
    """

    target: Target
    kubernetes: str
    ends: str | None = None
    gateway: str = ""
    features: Mapping[str, str | None] = field(default_factory=dict)


def new_run() -> str:
    """Return a run id that is a valid part of a Kubernetes name."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return secrets.choice(letters) + "".join(secrets.choice(letters + "234567") for _ in range(5))


def one_line(error: Exception) -> str:
    """Return what went wrong on the way to the cluster as a TargetError says it."""
    status, reason = getattr(error, "status", None), getattr(error, "reason", None)
    text = f"HTTP {status} {reason}" if status else str(error)
    return " ".join(text.split()) or type(error).__name__
