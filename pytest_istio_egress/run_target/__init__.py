"""The cluster of a run: selected, checked and detected once by the controller, the same in every worker."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_istio_egress.model.timeouts import Timeouts

if TYPE_CHECKING:
    from pytest_istio_egress.cluster.prepared_lease import PreparedLease

Say = Callable[[str], None]
"""Prints one line for the user."""


@dataclass(frozen=True)
class Target:
    """The cluster of one run, and the settings of the run that workers need."""

    kind: str
    """The setting `target`: context or embedded."""
    kubeconfig: Path | None
    """None for the files of $KUBECONFIG, or for a pod's service account."""
    context: str | None
    """Always a name, so that a changed current context cannot move the run to another cluster."""
    run: str
    """The run's id, as `new_run` returns it."""
    notes: tuple[str, ...]
    """Sentences for the report."""
    timeout_scale: float
    allow_mesh_wide: bool
    mesh: Mapping[str, Any] = field(default_factory=dict)
    """MeshFacts.to_mapping()"""
    placement: Mapping[str, Any] = field(default_factory=dict)
    """Placement.to_mapping()"""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Why the cluster refuses objects of a kind that only some tests need, by kind."""
    prepared: bool = False
    """Whether it uses prepared namespaces, and creates none."""
    prepared_workers: int = 0
    """The number of workers that these were prepared for."""
    require: tuple[str, ...] = ()
    """Features whose lack fails tests instead of skipping them."""

    @property
    def timeouts(self) -> Timeouts:
        """The timeouts, scaled for this run."""
        return Timeouts().scaled(self.timeout_scale)

    def to_json(self) -> str:
        """Serialize it for an xdist worker."""
        return json.dumps(asdict(self) | {"kubeconfig": self.kubeconfig and str(self.kubeconfig)})

    @classmethod
    def from_json(cls, text: str) -> Target:
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        kubeconfig = fields["kubeconfig"] and Path(fields["kubeconfig"])
        tuples = {name: tuple(fields[name]) for name in ("notes", "require")}
        return cls(**{**fields, **tuples, "kubeconfig": kubeconfig})


class TargetError(Exception):
    """The cluster or its mesh cannot be used. The message is one line."""


class NoClusterError(TargetError):
    """No cluster is configured."""


@dataclass(frozen=True)
class Prepared:
    """A target that responds, and its detected properties."""

    target: Target
    kubernetes: str
    """The version of Kubernetes."""
    stops_with_run: str | None = None
    """The name of the embedded cluster to stop after the run, None where there is none."""
    gateway: str = ""
    """The egress gateway under test, in a human-readable form."""
    lease: PreparedLease | None = None
    """The lease of prepared namespaces, once the run has it."""
    features: Mapping[str, str | None] = field(default_factory=dict)
    """Why the mesh lacks a feature, None where the mesh has it."""


def new_run() -> str:
    """Return a new run id: six letters and digits, a letter first, so that it fits into Kubernetes names."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    return secrets.choice(letters) + "".join(secrets.choice(letters + "234567") for _ in range(5))
