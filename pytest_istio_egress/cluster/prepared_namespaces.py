"""Prepared namespaces: an administrator creates them once, for users who may not create any.

    istio-egress namespaces team-a --workers 2 | kubectl apply -f -
    pytest --istio-egress --istio-egress-prepared team-a -n 2

    egress-outside-team-a      egress-plain-team-a                                      shared by the workers of a run
    egress-client-team-a-gw0   egress-neighbour-team-a-gw0   egress-gateway-team-a-gw0  of one worker

A run applies the same objects there as in namespaces of its own, all with the label of a run, whose id is the name.
They are deleted in the end, or, after a killed run, by the next one. The namespaces themselves do not have that label:
a run that creates namespaces would take them for those of a killed run, and delete them.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from itertools import product
from typing import Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import RUN_LABEL, Applier, Resource, rendered
from pytest_istio_egress.cluster.names import PREPARED_OF_ONE_WORKER, Names
from pytest_istio_egress.cluster.objects_elsewhere import delete_objects, noted_objects
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.run_lease import LEASE

PREPARED_LABEL = "istio-egress.dev/prepared"
"""Label of a prepared namespace, with the name that they were prepared under."""
WORKERS = "istio-egress.dev/workers"
"""Annotation of a prepared namespace: the number of workers that namespaces were prepared for."""
_AT_ONCE = 16
"""Requests side by side."""


def worker_names(workers: int) -> list[str]:
    """Return the ids of so many workers, as xdist gives them; a run without xdist is the first one."""
    return [f"gw{number}" for number in range(workers)]


def all_namespaces(run: str, workers: int) -> list[str]:
    """Return the names of all prepared namespaces."""
    return sorted(frozenset().union(*(Names(run, worker).prepared_namespaces for worker in worker_names(workers))))


def prepared_documents(documents: Iterable[dict[str, Any]], names: Names, workers: int) -> list[dict[str, Any]]:
    """Return the Namespaces that an administrator applies: for each worker, with the labels that the mesh needs."""
    prepared: dict[str, dict[str, Any]] = {}
    for worker, document in product(worker_names(workers), documents):
        sent = rendered(copy.deepcopy(document), "", replace(names, worker=worker))
        labels = {name: value for name, value in sent["metadata"]["labels"].items() if name != RUN_LABEL}
        sent["metadata"]["labels"] = {**labels, PREPARED_LABEL: names.run}
        sent["metadata"]["annotations"] = {WORKERS: str(workers)}
        prepared[sent["metadata"]["name"]] = sent
    return [prepared[name] for name in sorted(prepared)]


def prepared_workers(api: Api, run: str) -> int:
    """Return the number of workers that namespaces were prepared for; raises ClusterError where there are none."""
    shared = Names(run, "").namespace("egress-outside")
    hint = f"an administrator applies what `istio-egress namespaces {run}` prints"
    try:
        metadata = api.core.read_namespace(shared).metadata
    except ApiException as error:
        if error.status in (403, 404):
            raise ClusterError(f"no namespaces are prepared as {run} ({reason(error)}): {hint}") from error
        raise
    if metadata.deletion_timestamp:
        raise ClusterError(f"the prepared namespace {shared} is being deleted: once it is gone, {hint}")
    number = (metadata.annotations or {}).get(WORKERS, "")
    if (metadata.labels or {}).get(PREPARED_LABEL) != run or not number.isdecimal():
        raise ClusterError(f"namespace {shared} is not a prepared one (label {PREPARED_LABEL}={run}): {hint}")
    return int(number)


class PreparedNamespaces:
    """The prepared namespaces of one worker. The controller renews the lease of the run (prepared_lease.py)."""

    def __init__(self, applier: Applier, workers: int) -> None:
        self._applier = applier
        self._workers = workers

    def begin(self, documents: Sequence[dict[str, Any]]) -> None:  # noqa: ARG002  # they exist
        """Raise ClusterError where none are prepared for this worker, as for the replacement of a crashed one."""
        worker = self._applier.names.worker
        if worker not in worker_names(self._workers):
            raise ClusterError(
                f"no namespaces are prepared for worker {worker}, which replaces a crashed one (prepared for "
                f"{self._workers} workers)"
            )

    def add(self, document: dict[str, Any]) -> None:
        """Do nothing: it exists."""

    def stop(self) -> None:
        """Do nothing: the lease is the controller's."""

    def clear(self) -> None:
        """Start to delete the objects in the namespaces of this worker, while other workers still run."""
        names = self._applier.names
        with suppress(ClusterError, ApiException, HTTPError):
            Contents(self._applier.api, map(names.namespace, PREPARED_OF_ONE_WORKER)).delete()


def empty(api: Api, run: str, workers: int, say: Callable[[str], None]) -> int:
    """Delete what runs left in their prepared namespaces, and elsewhere, and wait until it is gone.

    Returns the number of objects that were found. Raises ClusterError where some stay.
    """
    elsewhere = noted_objects(api, run)
    delete_objects(api, run, elsewhere)
    contents = Contents(api, all_namespaces(run, workers))
    found = contents.delete()
    contents.wait_until_gone(api.timeouts.remove, say)
    return found + len(elsewhere)


class Contents:
    """The objects of runs in some namespaces, of every kind that the user may list; without the lease."""

    def __init__(self, api: Api, namespaces: Iterable[str]) -> None:
        self._api = api
        self._namespaces = list(namespaces)
        self._places = self._listable()
        self._left: list[Resource] = []

    def objects(self) -> list[Resource]:
        """Return them."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            listed = pool.map(lambda place: _items(*place) or [], self._places)
        return [
            resource
            for (kind, namespace), items in zip(self._places, listed, strict=True)
            for item in items
            if not _is_lease(resource := Resource(kind.group_version, kind.kind, namespace, item["metadata"]["name"]))
        ]

    def delete(self) -> int:
        """Start to delete them, and return their number; later calls look only where there were some."""
        self._left = self.objects()
        occupied = {(each.api_version, each.kind, each.namespace) for each in self._left}
        self._places = [(kind, at) for kind, at in self._places if (kind.group_version, kind.kind, at) in occupied]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self._delete, self._left))
        return len(self._left)

    def wait_until_gone(self, timeout: float, say: Callable[[str], None]) -> None:
        """Wait for finalizers and pods; raises ClusterError where some stay."""
        last_message = time.monotonic()

        def is_gone() -> bool:
            nonlocal last_message
            left = self.delete()
            if left and time.monotonic() - last_message > 2:
                last_message = time.monotonic()
                say(f"emptying the prepared namespaces: {left} objects left")
            return not left

        if self._left and not poll(is_gone, every=0.25, timeout=timeout):
            left = ", ".join(map(str, self._left))
            raise ClusterError(f"these objects were not deleted within {timeout:g} s: {left}")

    def _listable(self) -> list[tuple[Any, str]]:
        """Return each pair of a kind and a namespace in which the user may list it."""
        kinds = self._api.namespaced_kinds({"list", "delete"})
        first, *others = self._namespaces
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            permitted = list(pool.map(lambda kind: _items(kind, first) is not None, kinds))
        return list(product((kind for kind, may in zip(kinds, permitted, strict=True) if may), [first, *others]))

    def _delete(self, resource: Resource) -> None:
        # A Deployment in the foreground: it is gone when its pods are.
        body = {"propagationPolicy": "Foreground"} if resource.kind == "Deployment" else None
        try:
            self._api.resource(resource.api_version, resource.kind).delete(
                name=resource.name, namespace=resource.namespace, body=body
            )
        except ApiException as error:
            if error.status not in (404, 409):
                raise ClusterError(f"cannot delete {resource}: {reason(error)}") from error


def _is_lease(resource: Resource) -> bool:
    return (resource.kind, resource.name) == ("Lease", LEASE)


def _items(kind: Any, namespace: str) -> list[dict[str, Any]] | None:
    """Return the objects of runs of one kind in a namespace; None where the user may not list them."""
    try:
        items: list[dict[str, Any]] = kind.get(namespace=namespace, label_selector=RUN_LABEL).to_dict()["items"]
    except ApiException as error:
        if error.status in (403, 404, 405):
            return None
        raise ClusterError(f"cannot list {kind.name} in {namespace}: {reason(error)}") from error
    return items
