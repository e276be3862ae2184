"""How a run comes by its namespaces: it creates and deletes them, or uses prepared ones (prepared_namespaces.py)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Protocol

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.names import OF_ONE_WORKER
from pytest_istio_egress.cluster.run_lease import RunLease, delete


class RunNamespaces(Protocol):
    """The namespaces of one worker, and those that it shares with others."""

    def begin(self, documents: Sequence[dict[str, Any]]) -> None:
        """Provide the namespaces that every test needs, and show that the run is alive."""
        ...

    def add(self, document: dict[str, Any]) -> None:
        """Provide one more namespace."""
        ...

    def stop(self) -> None:
        """No longer show that the run is alive."""
        ...

    def clear(self) -> None:
        """Start to delete what belongs to this worker alone; errors are ignored, as the end of the run deletes all."""
        ...


class CreatedNamespaces:
    """Namespaces that the run creates, and deletes in the end."""

    def __init__(self, applier: Applier) -> None:
        names = applier.names
        self._applier = applier
        self._lease = RunLease(applier.api, names.run, names.namespace("egress-outside"), names.placement)

    def begin(self, documents: Sequence[dict[str, Any]]) -> None:
        """Create the namespaces, and start the lease."""
        self._applier.apply(documents, "")
        self._lease.start()

    def add(self, document: dict[str, Any]) -> None:
        """Create one more namespace."""
        self._applier.apply([document], "")

    def stop(self) -> None:
        """Stop the lease."""
        self._lease.stop()

    def clear(self) -> None:
        """Start to delete the namespaces of this worker, which takes a while, while other workers still run."""
        with suppress(ClusterError, ApiException, HTTPError):
            delete(self._applier.api, [self._applier.names.namespace(name) for name in OF_ONE_WORKER])
