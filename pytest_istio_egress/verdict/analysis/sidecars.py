"""Which Sidecar rules the client, where several claim it."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_istio_egress.model.failure_context import Fault
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration
from pytest_istio_egress.verdict.analysis.visibility import ruling


def faults(configuration: Configuration, asked: ClientRequest) -> Iterator[Fault]:
    """Yield a fault where two Sidecars claim the client."""
    claim = ruling(configuration.sidecars, asked.namespace, asked.labels)
    if len(claim) > 1:
        names = " and ".join(sorted(sidecar["metadata"]["name"] for sidecar in claim))
        yield Fault("sidecar", f"two Sidecars of {asked.namespace} claim this workload ({names}): the oldest rules it")
