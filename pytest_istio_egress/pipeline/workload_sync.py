"""Waits until the proxies of users' own workloads have what the current test changed in their namespaces.

A marker is a resource in the workload's namespace. It is applied only where the test itself created or deleted
something there, and is deleted with the test's resources: a test without manifests applies nothing there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pytest_istio_egress.cluster.apply import Resource
from pytest_istio_egress.cluster.envoy_filter_markers import API, WorkloadMarkers
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.proxy_sync import ProxySync


class WorkloadSync:
    """The state of one worker: what the test changed, and which proxies have it."""

    def __init__(self, owner: str, claim: Callable[[Sequence[Resource]], None]) -> None:
        """`owner` is unique among workers of all runs; `claim` takes the markers before they are applied."""
        self._markers = WorkloadMarkers(owner)
        self._claim = claim
        self._sync: ProxySync | None = None
        self._changed: Sequence[Resource] = ()
        self._rounds = 1
        self._synced: set[str] = set()
        """The pods whose proxies have it, by uid."""

    def begin(self, changed: Sequence[Resource], proxy_sync: ProxySync, *, rounds: int) -> None:
        """Take over what a test applied and deleted, which the suite's own proxies have after so many markers."""
        self._changed, self._rounds = changed, rounds
        self._synced.clear()
        # One object for all tests: its markers have numbers, and one that was used shows nothing.
        takes_markers = proxy_sync.markers.kind == self._markers.kind
        self._sync = (self._sync or proxy_sync.by(self._markers)) if takes_markers else None

    def forget(self) -> None:
        """Wait for another marker the next time."""
        self._synced.clear()

    def wait(self, workloads: Sequence[Pod]) -> bool:
        """Wait until the injected ones have it; False where no marker can show it for all of them."""
        injected = [pod for pod in workloads if pod.injected]
        namespaces = {resource.namespace for resource in self._changed}
        marked = [pod for pod in injected if pod.namespace in namespaces] if self._sync else []
        new = [pod for pod in marked if pod.uid not in self._synced]
        if self._sync and new:
            self._claim(self._resources(new))
            for _ in range(self._rounds):
                self._sync.wait(new)
            self._synced |= {pod.uid for pod in new}
        return len(marked) == len(injected)

    def _resources(self, pods: Sequence[Pod]) -> list[Resource]:
        namespaces = sorted({pod.namespace for pod in pods})
        return [Resource(API, self._markers.kind, namespace, self._markers.name) for namespace in namespaces]
