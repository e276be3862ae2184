"""Finds the pods of clients and servers by the names of manifests, and caches them until they are replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.own_workload import probing_pod
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.readiness import ready_pod
from pytest_istio_egress.model.probe import is_workload


class PodLookup:
    """Ready pods by `<app label>.<namespace>`; `curl` returns the container for probes from users' workloads."""

    def __init__(self, api: Api, names: Names, timeout: float, curl: Callable[[], Mapping[str, Any]]) -> None:
        self.api = api
        self.names = names
        self.timeout = timeout
        self._curl = curl
        self._clients: dict[str, Pod] = {}
        self._servers: dict[str, Pod] = {}
        self._user_pods: dict[str, Pod] = {}
        self._lock = threading.Lock()
        self._user_pods_lock = threading.Lock()

    def ready(self, workload: str) -> Pod:
        """Wait for a ready pod of a workload, without the cache."""
        return ready_pod(
            self.api, self.names.namespace_of(workload), self.names.selector(workload), timeout=self.timeout
        )

    def client(self, workload: str) -> Pod:
        """Return the ready pod of a client, from the cache.

        A user's workload (`<kind>/<name>.<namespace>`) is looked up each time, for its pods may change at any time.
        """
        if is_workload(workload):
            with self._user_pods_lock:
                pod = probing_pod(self.api, workload, self._curl(), timeout=self.timeout)
                self._user_pods[workload] = pod
                return pod
        if workload not in self._clients:
            pod = self.ready(workload)
            # A gateway's image may have no shell.
            self._clients[workload] = replace(pod, keeps_shell=pod.container != PROXY)
        return self._clients[workload]

    def server(self, workload: str) -> Pod:
        """Return the current ready pod of a server."""
        self._servers[workload] = self.ready(workload)
        return self._servers[workload]

    def replaced(self, client: str, failed: Pod) -> bool:
        """Whether a client's pod was replaced; waits for the new one."""
        with self._lock:
            if self._clients.get(client) == failed:
                del self._clients[client]
            return self.client(client) != failed

    def keep(self, clients: Collection[str]) -> None:
        """Keep the pods of these clients in the cache, and remove those that only one test had."""
        self._clients = {client: pod for client, pod in self._clients.items() if client in clients}

    def forget_clients(self) -> None:
        """Remove all clients' pods from the cache, after one of them was replaced."""
        self._clients.clear()

    def pods_in_use(self) -> list[Pod]:
        """Return the cached pods of clients and servers, but not those of users' workloads, which may change."""
        return [*self._clients.values(), *self._servers.values()]

    def cached(self) -> dict[str, Pod]:
        """Return the cached pods of clients, including users' workloads, without waiting for any."""
        return {**self._clients, **self._user_pods}
