"""The table of timeouts: upper bounds in seconds of waits for a condition, scaled by one factor."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Timeouts:
    """The longest time of each wait."""

    answer: float = 10.0
    """The cluster's first response, including the credential helper of the kubeconfig."""
    api: float = 60.0
    """The API server, from a lost connection until it responds again."""
    ready: float = 120.0
    """A pod, from creation to ready, including image pulls."""
    settle: float = 20.0
    """Configuration, from the API server until the proxies are in sync."""
    converge: float = 15.0
    """An expected outcome, from the sync of the proxies until a probe has it."""
    mesh: float = 150.0
    """Mesh-wide configuration, until the proxies have it; the kubelet updates a mounted ConfigMap once a minute."""
    leader: float = 40.0
    """istiod's leader election, after the leader was killed (its lease is 30 s)."""
    other_run: float = 300.0
    """Tests of another run that change the mesh configuration, until they have restored it."""
    log_line: float = 6.0
    """A line of an access log, from the end of its request until it is read; Envoy writes once a second."""
    log_flush: float = 2.5
    """The same where no line may be expected: long enough for Envoy to write it."""
    tunnel: float = 30.0
    """The time in addition for ztunnel's line of a request that timed out: ztunnel tries to reach a waypoint that does
    not answer for 10 s, for one connection of a client after the other."""
    command: float = 30.0
    """A command in a pod that reads from its proxy."""
    role: float = 5.0
    """A Role, from its creation until it can be bound."""
    exec: float = 15.0
    """An exec, in addition to the time limit of its command."""
    evidence: float = 20.0
    """The evidence files of a failed parameter; a file that is not complete by then is listed as missing."""
    remove: float = 120.0
    """The run's namespaces, until their deletion is complete."""

    def scaled(self, factor: float) -> Timeouts:
        """Return the table with all timeouts multiplied by `factor`."""
        return Timeouts(**{field.name: getattr(self, field.name) * factor for field in fields(self)})
