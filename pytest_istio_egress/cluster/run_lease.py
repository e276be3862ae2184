"""The lease that shows that a run is alive, and the deletion of runs, including killed ones."""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import FIELD_MANAGER, RUN_LABEL, Resource
from pytest_istio_egress.cluster.lease_renewal import HELD_FOR, LeaseRenewal, has_expired
from pytest_istio_egress.cluster.mesh_config_map import MeshConfigMap
from pytest_istio_egress.cluster.objects_elsewhere import delete_objects, noted_objects
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.model.text import one_line

LEASE = "run"
TRAFFIC_LABEL = "istio-egress.dev/traffic"
"""Label of a namespace of steady traffic (fixtures/traffic/server.yaml)."""
_NO_DISCOVERY = "NamespaceDeletionDiscoveryFailure"
"""Condition of a namespace that stays because not all kinds of the cluster can be listed."""


@dataclass(frozen=True)
class LeftoverRun:
    """A run that has namespaces in the cluster."""

    run: str
    namespaces: tuple[str, ...]
    alive: bool
    """Whether its lease is still valid."""
    traffic: bool = False
    """Whether it is steady traffic, which outlives its command and never changes the mesh."""
    ending: bool = False
    """Whether all its namespaces are being deleted already."""
    elsewhere: tuple[Resource, ...] = ()
    """What its tests created outside of its namespaces."""


class RunLease:
    """Holds a Lease in one of the run's namespaces until it is stopped."""

    def __init__(self, api: Api, run: str, namespace: str, placement: Placement = Placement()) -> None:  # noqa: B008  # frozen
        self._api = api
        self._run = run
        self._namespace = namespace
        self._placement = placement
        self._renewal = LeaseRenewal("lease of the run", self._renew)

    def start(self) -> None:
        """Acquire the lease, which the workers of a run share, and renew it in a thread."""
        self._renew()
        self._renewal.start()

    def stop(self) -> None:
        """Stop renewing."""
        self._renewal.stop()

    def _renew(self) -> bool:
        renew_lease(self._api, self._run, self._namespace, self._placement, seconds=HELD_FOR)
        return True


def renew_lease(api: Api, run: str, namespace: str, placement: Placement, *, seconds: int) -> None:
    """Acquire or renew a run's lease, by the API server's clock: the run counts as alive for so many seconds."""
    lease: dict[str, Any] = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": LEASE, "labels": {RUN_LABEL: run}},
        "spec": {"holderIdentity": run, "leaseDurationSeconds": seconds, "renewTime": micro_time(api.now())},
    }
    try:
        # Not by the typed client, which omits the six digits that a MicroTime must have.
        api.resource(lease["apiVersion"], lease["kind"]).server_side_apply(
            body=placement.apply_to(lease),
            name=LEASE,
            namespace=namespace,
            field_manager=FIELD_MANAGER,
            force_conflicts=True,
        )
    except ApiException as error:
        raise ClusterError(f"cannot renew the run's lease: {reason(error)}") from error


def micro_time(moment: datetime.datetime) -> str:
    """Return a MicroTime: the API server requires its six digits even where they are zero."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def leftover_runs(api: Api) -> list[LeftoverRun]:
    """Return the runs that have namespaces in the cluster, including this one, sorted by id."""
    try:
        namespaces = api.core.list_namespace(label_selector=RUN_LABEL).items
    except ApiException as error:
        raise ClusterError(f"cannot list namespaces: {reason(error)}") from error
    runs: dict[str, list[client.V1ObjectMeta]] = {}
    for namespace in namespaces:
        runs.setdefault(namespace.metadata.labels[RUN_LABEL], []).append(namespace.metadata)
    return [
        LeftoverRun(
            run,
            tuple(sorted(each.name for each in found)),
            alive=_alive(api, found),
            traffic=any(TRAFFIC_LABEL in each.labels for each in found),
            ending=all(each.deletion_timestamp for each in found),
            elsewhere=noted_objects(api, run),
        )
        for run, found in sorted(runs.items())
    ]


def _alive(api: Api, namespaces: Sequence[client.V1ObjectMeta]) -> bool:
    coordination = client.CoordinationV1Api(api.client)
    now = api.now()
    for namespace in namespaces:
        for lease in coordination.list_namespaced_lease(namespace.name, label_selector=RUN_LABEL).items:
            spec = lease.spec
            if spec.renew_time and not has_expired(spec.renew_time, spec.lease_duration_seconds, now):
                return True
    # A new run creates a namespace before its lease.
    grace = datetime.timedelta(seconds=HELD_FOR)
    return any(now - each.creation_timestamp < grace for each in namespaces)


def restore_mesh_config(api: Api, settings: MeshConfigMap, say: Callable[[str], None]) -> None:
    """Restore the mesh configuration after a killed run; a run that is alive does so itself."""
    before = settings.pending_restore()
    if before is None or any(run.alive and not run.traffic for run in leftover_runs(api)):
        return
    say("istio-egress: restoring the mesh configuration, which a killed run had changed")
    settings.restore(before)


def remove_leftovers(api: Api, say: Callable[[str], None]) -> None:
    """Start to delete the namespaces of ended runs, without waiting; another run may do so concurrently."""
    for leftover in leftover_runs(api):
        if leftover.alive or leftover.ending:
            continue
        namespaces = ", ".join(leftover.namespaces)
        say(f"istio-egress: deleting the namespaces of run {leftover.run}, which ended without cleanup: {namespaces}")
        delete_objects(api, leftover.run, leftover.elsewhere)
        delete(api, leftover.namespaces)


def remove(api: Api, run: str, *, say: Callable[[str], None] = lambda _: None) -> list[str]:
    """Delete a run's objects elsewhere and its namespaces, wait until those are gone, and return their names."""
    namespaces = api.core.list_namespace(label_selector=f"{RUN_LABEL}={run}").items
    delete_objects(api, run, noted_objects(api, run) if namespaces else ())
    removed = sorted(namespace.metadata.name for namespace in namespaces)
    delete(api, removed)
    _wait_until_gone(api, run, api.timeouts.remove, say)
    return removed


def delete(api: Api, namespaces: Sequence[str]) -> None:
    """Start to delete namespaces, without waiting; those that do not exist are ignored."""
    for name in namespaces:
        try:
            api.core.delete_namespace(name)
        except ApiException as error:
            if error.status not in (404, 409):
                raise ClusterError(f"cannot delete namespace {name}: {reason(error)}") from error


def _wait_until_gone(api: Api, run: str, timeout: float, say: Callable[[str], None]) -> None:
    remaining: list[str] = []
    last_message = time.monotonic()

    def is_gone() -> bool:
        nonlocal remaining, last_message
        remaining = namespaces_of_run(api, run)
        if remaining and time.monotonic() - last_message > 2:
            last_message = time.monotonic()
            say(f"deleting run {run}: {len(remaining)} namespaces left")
        return not remaining

    if not poll(is_gone, every=0.25, timeout=timeout):
        why = _why_not_gone(api, run) or f"try `kubectl get namespace {remaining[0]} -o yaml`"
        raise ClusterError(f"namespaces {', '.join(remaining)} were not deleted within {timeout:g} s: {why}")


def _why_not_gone(api: Api, run: str) -> str:
    """Return what keeps the namespaces of a run, by their conditions; empty where these do not say it."""
    namespaces = api.core.list_namespace(label_selector=f"{RUN_LABEL}={run}").items
    conditions = [each for namespace in namespaces for each in (namespace.status.conditions or [])]
    true = [each for each in conditions if each.status == "True"]
    if {each.type for each in true} == {_NO_DISCOVERY} and (broken := api.broken_api_services()):
        names = ", ".join(broken)
        return (
            f"APIService {names} does not answer, so this cluster can delete no namespace; they go by themselves once "
            f"it is mended or deleted (`kubectl get apiservice {' '.join(broken)}`)"
        )
    return one_line("; ".join(dict.fromkeys(f"{each.type}: {each.message}" for each in true)))


def namespaces_of_run(api: Api, run: str) -> list[str]:
    """Return the namespaces of a run."""
    namespaces = api.core.list_namespace(label_selector=f"{RUN_LABEL}={run}").items
    return sorted(namespace.metadata.name for namespace in namespaces)
