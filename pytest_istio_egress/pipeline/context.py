"""The parts that every step of the pipeline works with, for one pytest worker."""

from __future__ import annotations

from dataclasses import dataclass, field

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.environment import Environment
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.pipeline.phase_timer import PhaseTimer


@dataclass(frozen=True)
class WorkerContext:
    """One worker's part of the cluster: its connection, its pods, its access logs."""

    api: Api
    environment: Environment
    access_logs: AccessLogs
    timeouts: Timeouts
    timer: PhaseTimer = field(default_factory=PhaseTimer)

    @property
    def names(self) -> Names:
        """The names of the run and of this worker."""
        return self.environment.names
