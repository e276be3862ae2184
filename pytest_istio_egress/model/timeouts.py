"""The one table of timeouts. All are upper bounds of waits on facts, in seconds; one factor scales them."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Timeouts:
    """How long each wait may take before it counts as failed."""

    answer: float = 10.0
    """The cluster's first answer; a credential helper that the kubeconfig names is part of it."""
    api: float = 60.0
    """The API server, from a connection that was lost until it answers again."""
    ready: float = 120.0
    """A pod, from creation to ready, image pulls included."""
    settle: float = 20.0
    """Configuration, from the API server to a proxy that has it."""
    converge: float = 15.0
    """A documented outcome, from settled configuration until it is seen."""
    mesh: float = 150.0
    """Mesh-wide configuration, until the proxies follow it; a kubelet renews a mounted ConfigMap once a minute."""
    leader: float = 40.0
    """Istio's leader: from the end of one that was killed until another istiod does its work (its lease is 30 s)."""
    other_run: float = 300.0
    """Another run's cases that change the mesh itself, until its configuration is as it was."""
    log_line: float = 6.0
    """A proxy's log line, from the end of its request until we have it; Envoy writes once a second."""
    log_flush: float = 2.5
    """The same where none may come: long enough for Envoy to have written it."""
    command: float = 30.0
    """A command in a pod that only asks its proxy."""
    role: float = 5.0
    """A role, from its creation until it may be bound."""
    exec: float = 15.0
    """An exec, beyond the time that its command may take itself."""
    evidence: float = 20.0
    """All that is kept of a case that does not hold; what has not come by then is missing in it, and said to be."""
    remove: float = 120.0
    """The run's namespaces, from deletion to gone."""

    def scaled(self, factor: float) -> Timeouts:
        """Return the same table for a cluster that is slower by `factor`."""
        return Timeouts(**{field.name: getattr(self, field.name) * factor for field in fields(self)})
