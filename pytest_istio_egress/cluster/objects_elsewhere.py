"""The objects that manifests of tests create outside of the run's namespaces.

A user's test may apply a VirtualService in a namespace of the user's, or an EnvoyFilter in the root namespace. Such an
object is not deleted with the run's namespaces. So it is noted in one of them before it is created:

    ConfigMap objects-elsewhere in egress-outside-k3x9q
      data: {gw0: '[["v1", "ConfigMap", "payments", "rules"]]'}

The end of the run deletes it, or, if the run was killed, the next run or `istio-egress clean`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import FIELD_MANAGER, RUN_LABEL, Applier, Resource
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.run_secrets import config_map
from pytest_istio_egress.model.case import InvalidTestError

_NOTES = "objects-elsewhere"
"""The ConfigMap with one entry per worker: a JSON list of objects, each a list of its fields."""


class ObjectsElsewhere:
    """Claims what one worker's tests create outside of the run's namespaces."""

    def __init__(self, applier: Applier) -> None:
        self._applier = applier
        self._noted: list[Resource] = []

    def claim(self, resources: Iterable[Resource]) -> None:
        """Note objects that are about to be applied, where they are outside of the run's namespaces.

        Raises InvalidTestError where one exists and is not this run's: it would be changed, and deleted in the end.
        """
        elsewhere = [resource for resource in resources if self._is_elsewhere(resource)]
        for resource in elsewhere:
            self._check_not_taken(resource)
        new = [resource for resource in elsewhere if resource not in self._noted]
        if new:
            self._noted += new
            self._note()

    def _is_elsewhere(self, resource: Resource) -> bool:
        own = self._applier.names.namespaces
        if resource.kind == "Namespace":
            return resource.name not in own
        return (
            resource.namespace not in own
            or not self._applier.api.resource(resource.api_version, resource.kind).namespaced
        )

    def _check_not_taken(self, resource: Resource) -> None:
        try:
            owner = _owner(self._applier.api, resource)
        except ApiException as error:
            if error.status == 404:
                return
            raise ClusterError(
                f"cannot read {resource}, which a manifest of this test creates: {reason(error)}"
            ) from error
        if owner != self._applier.names.run:
            whose = f"belongs to run {owner}" if owner else "is not the suite's"
            raise InvalidTestError(
                f"{resource} exists already and {whose}, so a test must not change it: give the one in the manifest "
                "another name, or leave it out of the manifest"
            )

    def _note(self) -> None:
        noted = json.dumps([[each.api_version, each.kind, each.namespace, each.name] for each in self._noted])
        names = self._applier.names
        sent = self._applier.rendered(config_map(_NOTES, "egress-outside", {}), "egress-outside")
        sent["data"] = {names.worker: noted}  # not rendered: these names are the run's already
        try:
            # Each worker is a field manager of its own: the entries of others stay.
            self._applier.api.resource("v1", "ConfigMap").server_side_apply(
                body=sent,
                name=_NOTES,
                namespace=sent["metadata"]["namespace"],
                field_manager=f"{FIELD_MANAGER}-{names.worker}",
                force_conflicts=True,
            )
        except ApiException as error:
            raise ClusterError(f"cannot note what a test creates elsewhere: {reason(error)}") from error


def noted_objects(api: Api, run: str) -> tuple[Resource, ...]:
    """Return the objects that a run has noted, in the order of their creation by each worker."""
    try:
        notes = api.core.read_namespaced_config_map(_NOTES, Names(run, "").namespace("egress-outside")).data or {}
    except ApiException as error:
        if error.status == 404:
            return ()
        raise ClusterError(f"cannot read what tests of run {run} created elsewhere: {reason(error)}") from error
    return tuple(dict.fromkeys(Resource(*fields) for _, note in sorted(notes.items()) for fields in json.loads(note)))


def delete_objects(api: Api, run: str, resources: Iterable[Resource]) -> None:
    """Delete a run's noted objects in reverse order; one that is gone, or is another's by now, is ignored."""
    for resource in reversed(list(resources)):
        try:
            if _owner(api, resource) == run:
                kind = api.resource(resource.api_version, resource.kind)
                kind.delete(name=resource.name, namespace=resource.namespace)
        except ApiException as error:
            if error.status != 404:
                raise ClusterError(f"cannot delete {resource}: {reason(error)}") from error


def _owner(api: Api, resource: Resource) -> str | None:
    """Return the run that an object belongs to, None for one that is not the suite's; raises ApiException."""
    kind = api.resource(resource.api_version, resource.kind)
    found = kind.get(name=resource.name, namespace=resource.namespace).to_dict()
    owner: str | None = (found["metadata"].get("labels") or {}).get(RUN_LABEL)
    return owner
