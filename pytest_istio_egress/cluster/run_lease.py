"""Signs of life of a run, and the removal of what a run made, a killed one's included."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import FIELD_MANAGER, RUN_LABEL
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap

LEASE = "run"
TRAFFIC_LABEL = "istio-egress.dev/traffic"
"""Carried by a namespace of steady traffic (fixtures/traffic/server.yaml)."""
RENEWED_EVERY = 5.0
HELD_FOR = 30
"""Seconds without a renewal after which a run counts as dead."""


@dataclass(frozen=True)
class LeftoverRun:
    """What one run has in a cluster. `alive` is whether it renewed its lease of late.

    `traffic`: it is steady traffic, started by a command that has ended since; it changes nothing of the mesh.
    """

    run: str
    namespaces: tuple[str, ...]
    alive: bool
    traffic: bool = False


class RunLease:
    """Holds a Lease in one of the run's namespaces for as long as the run lasts."""

    def __init__(self, api: Api, run: str, namespace: str) -> None:
        self._api = api
        self._run = run
        self._namespace = namespace
        self._stop = threading.Event()

    def start(self) -> None:
        """Take the lease (or share it with the run's other workers) and renew it in a thread."""
        self._renew()
        threading.Thread(target=self._keep, name="lease of the run", daemon=True).start()

    def stop(self) -> None:
        """Stop renewing."""
        self._stop.set()

    def _keep(self) -> None:
        while not self._stop.wait(RENEWED_EVERY):
            try:
                self._renew()
            except (ClusterError, HTTPError, OSError):
                # The API server may be restarting; the lease outlasts several tries.
                continue

    def _renew(self) -> None:
        renew_lease(self._api, self._run, self._namespace, seconds=HELD_FOR)


def renew_lease(api: Api, run: str, namespace: str, *, seconds: int) -> None:
    """Take a run's lease, or renew it, by the API server's clock: `leftover_runs` will take the run for alive so long."""
    lease: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE, "labels": {RUN_LABEL: run}},
        "spec": {"holderIdentity": run, "leaseDurationSeconds": seconds, "renewTime": _iso(api.now())},
    }
    try:
        # Applied as it stands: the typed client would leave out the six digits that a MicroTime has to have.
        api.resource(lease["apiVersion"], lease["kind"]).server_side_apply(
            body=lease, name=LEASE, namespace=namespace, field_manager=FIELD_MANAGER, force_conflicts=True
        )
    except ApiException as error:
        raise ClusterError(f"the run's lease can't be renewed: {reason(error)}") from error


def _iso(moment: datetime.datetime) -> str:
    """Return a MicroTime: the API server wants its six digits even where they are zero."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def leftover_runs(api: Api) -> list[LeftoverRun]:
    """Return what runs have in the cluster, this one's included."""
    try:
        namespaces = api.core.list_namespace(label_selector=RUN_LABEL).items
    except ApiException as error:
        raise ClusterError(f"namespaces can't be listed: {reason(error)}") from error
    runs: dict[str, list[str]] = {}
    traffic: set[str] = set()
    for namespace in namespaces:
        labels = namespace.metadata.labels
        runs.setdefault(labels[RUN_LABEL], []).append(namespace.metadata.name)
        if TRAFFIC_LABEL in labels:
            traffic.add(labels[RUN_LABEL])
    return [
        LeftoverRun(run, tuple(sorted(names)), _alive(api, names), run in traffic)
        for run, names in sorted(runs.items())
    ]


def _alive(api: Api, namespaces: Sequence[str]) -> bool:
    coordination = client.CoordinationV1Api(api.client)
    now = api.now()  # as renewals are: whatever the clocks of two machines say, nobody takes the other for dead
    for namespace in namespaces:
        for lease in coordination.list_namespaced_lease(namespace, label_selector=RUN_LABEL).items:
            renewed = lease.spec.renew_time
            if renewed and now - renewed < datetime.timedelta(seconds=lease.spec.lease_duration_seconds or HELD_FOR):
                return True
    # A run that has only just begun has a namespace before it has its lease.
    young = datetime.timedelta(seconds=HELD_FOR)
    created = [api.core.read_namespace(name).metadata.creation_timestamp for name in namespaces]
    return any(now - moment < young for moment in created)


def restore_mesh_config(api: Api, settings: MeshConfigMap, say: Callable[[str], None]) -> None:
    """Take back what a killed run changed of the mesh's own configuration; a run that is alive does so itself."""
    before = settings.pending_restore()
    if before is None or any(left.alive and not left.traffic for left in leftover_runs(api)):
        return
    say("istio-egress: a run that was killed had changed the mesh's own configuration; putting it back")
    settings.restore(before)


def remove_leftovers(api: Api, say: Callable[[str], None]) -> None:
    """Have what killed runs left removed, without waiting for it; what another run removes meanwhile is fine."""
    for left in leftover_runs(api):
        if left.alive:
            continue
        namespaces = ", ".join(left.namespaces)
        say(f"istio-egress: run {left.run} ended without cleaning up; removing {namespaces}")
        delete(api, left.namespaces)


def remove(api: Api, run: str, *, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Delete all that carries the run's label and wait until it is gone; return the namespaces that were removed.

    Everything a run makes lies in its own namespaces, so they are all there is to remove.
    """
    removed = namespaces_of_run(api, run)
    delete(api, removed)
    _await_gone(api, run, api.timeouts.remove, say)
    return removed


def delete(api: Api, namespaces: Sequence[str]) -> None:
    """Have namespaces deleted, without waiting until they are gone; those that are gone already are fine."""
    for name in namespaces:
        try:
            api.core.delete_namespace(name)
        except ApiException as error:
            if error.status not in (404, 409):
                raise ClusterError(f"the namespace {name} can't be deleted: {reason(error)}") from error


def _await_gone(api: Api, run: str, timeout: float, say: Callable[[str], None]) -> None:
    began = said = time.monotonic()
    while left := namespaces_of_run(api, run):
        now = time.monotonic()
        if now - began > timeout:
            raise ClusterError(
                f"{', '.join(left)} did not go within {timeout:g} s; see `kubectl get namespace {left[0]} -o yaml`"
            )
        if now - said > 2:
            said = now
            say(f"removing run {run}: {len(left)} namespaces left")
        threading.Event().wait(0.25)  # between two questions to the API, not in place of one


def namespaces_of_run(api: Api, run: str) -> list[str]:
    """Return the namespaces that a run still has."""
    found = api.core.list_namespace(label_selector=f"{RUN_LABEL}={run}").items
    return sorted(namespace.metadata.name for namespace in found)
