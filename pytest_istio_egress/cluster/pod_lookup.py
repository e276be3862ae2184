"""Finds the pods that are asked and that answer, by the manifests' names, and keeps them until they are replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.own_workload import probing_pod
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.readiness import ready_pod
from pytest_istio_egress.model.probe import is_workload


class PodLookup:
    """Ready pods by `<app label>.<namespace>`; `curl_image` names the image for probes from a user's own pods."""

    def __init__(self, api: Api, names: Names, timeout: float, curl_image: Callable[[], str]) -> None:
        self.api = api
        self.names = names
        self.timeout = timeout
        self._curl_image = curl_image
        self._clients: dict[str, Pod] = {}
        self._servers: dict[str, Pod] = {}
        self._borrowed: dict[str, Pod] = {}
        self._lock = threading.Lock()
        self._borrowing = threading.Lock()

    def ready(self, workload: str) -> Pod:
        """Wait for a ready pod of a workload, which is not kept."""
        return ready_pod(
            self.api, self.names.namespace_of(workload), self.names.selector(workload), timeout=self.timeout
        )

    def client(self, workload: str) -> Pod:
        """Return the ready pod of a client, which is looked up once.

        A user's own workload (`<kind>/<name>.<namespace>`) is looked up each time: its pods come and go as they do.
        """
        if is_workload(workload):
            with self._borrowing:
                found = probing_pod(self.api, workload, self._curl_image(), timeout=self.timeout)
                self._borrowed[workload] = found
                return found
        if workload not in self._clients:
            self._clients[workload] = self.ready(workload)
        return self._clients[workload]

    def server(self, workload: str) -> Pod:
        """Return the ready pod of a server, as it is now."""
        self._servers[workload] = self.ready(workload)
        return self._servers[workload]

    def replaced(self, client: str, failed: Pod) -> bool:
        """Whether a client's pod went and another one came, which is waited for."""
        with self._lock:
            if self._clients.get(client) == failed:
                del self._clients[client]
            return self.client(client) != failed

    def forget(self, client: str) -> None:
        """Keep a client's pod no longer: its case is over."""
        self._clients.pop(client, None)

    def forget_clients(self) -> None:
        """Look every client up anew: one of them went."""
        self._clients.clear()

    def pods_in_use(self) -> list[Pod]:
        """Return the pods that verdicts rest on, as they were found; users' own may do as they like."""
        return [*self._clients.values(), *self._servers.values()]

    def cached(self) -> dict[str, Pod]:
        """Return the clients' pods that were looked up already, users' own included; none is waited for."""
        return {**self._clients, **self._borrowed}
