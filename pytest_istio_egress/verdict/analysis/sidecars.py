"""Faults of Sidecars: more than one selects the client."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration
from pytest_istio_egress.verdict.analysis.visibility import sidecars_of_workload


def faults(configuration: Configuration, request: ClientRequest) -> Iterator[Fault]:
    """Yield a fault where two or more Sidecars select the client."""
    sidecars = sidecars_of_workload(configuration.sidecars, request.namespace, request.labels)
    if len(sidecars) > 1:
        number = "two" if len(sidecars) == 2 else str(len(sidecars))
        names = " and ".join(sorted(sidecar["metadata"]["name"] for sidecar in sidecars))
        yield Fault(
            "sidecar",
            f"{number} Sidecars select this workload ({names} in {request.namespace}), and the oldest one applies",
        )
