"""Server-side apply and deletion of manifests, with the run's names and label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client.exceptions import ApiException
from tenacity import RetryCallState, Retrying, wait_fixed

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.discovery import added_labels
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.text import one_line
from pytest_istio_egress.model.timeouts import Timeouts
from pytest_istio_egress.model.yaml_loader import SAFE_LOADER

RUN_LABEL = "istio-egress.dev/run"
FIELD_MANAGER = "pytest-istio-egress"


class RefusedError(ClusterError):
    """The API server, or a webhook behind it, rejected a manifest."""


@dataclass(frozen=True)
class Resource:
    """An object in the cluster."""

    api_version: str
    kind: str
    namespace: str | None
    name: str

    def __str__(self) -> str:
        """Return it in kubectl's syntax."""
        return f"{self.kind.lower()}/{self.name}" + (f" -n {self.namespace}" if self.namespace else "")


def load(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Read all documents of some manifests, in order; raises InvalidTestError for a file that cannot be read."""
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            documents.extend(document for document in yaml.load_all(file.read_text(), SAFE_LOADER) if document)
        except FileNotFoundError as error:
            raise InvalidTestError(
                f"the manifest {file} does not exist: create it; a test that applies nothing declares manifests=[]"
            ) from error
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise InvalidTestError(f"cannot read the manifest {file}: {one_line(error)}") from error
    return documents


def rendered(document: dict[str, Any], namespace: str, names: Names) -> dict[str, Any]:
    """Return a document as it is sent: with the run's names, the run's label and a namespace."""
    sent: dict[str, Any] = names.placement.apply_to(names.render_manifest(document))
    if sent["kind"] == "Sidecar":
        sent = names.mesh.with_telemetry(sent)
    metadata = sent.setdefault("metadata", {})
    if sent["kind"] != "Namespace":
        metadata.setdefault("namespace", names.namespace(namespace))
    metadata["labels"] = {**(metadata.get("labels") or {}), RUN_LABEL: names.run}
    if sent["kind"] == "Namespace":
        metadata["labels"] |= added_labels(names.mesh.discovery, metadata["name"], metadata["labels"])
    return sent


class Applier:
    """Applies manifests with the run's names; it has no state besides them."""

    def __init__(self, api: Api, names: Names) -> None:
        self.api = api
        self.names = names

    def rendered(self, document: dict[str, Any], namespace: str) -> dict[str, Any]:
        """Return the document as it is sent: with the run's names, the run's label and a namespace."""
        return rendered(document, namespace, self.names)

    def apply(self, documents: Sequence[dict[str, Any]], namespace: str) -> list[Resource]:
        """Apply documents in order, those without a namespace in the given one; return the objects.

        Raises RefusedError where one is rejected.
        """
        return [self.send(self.rendered(document, namespace)) for document in documents]

    def dry_run(self, documents: Sequence[dict[str, Any]], namespace: str, labels: Mapping[str, str]) -> None:
        """Have the API server and admission webhooks check documents with more labels; raises RefusedError."""
        for document in documents:
            sent = self.rendered(document, namespace)
            sent["metadata"]["labels"] = {**labels, **sent["metadata"]["labels"]}
            self.send(sent, dry_run="All")

    def send(self, sent: dict[str, Any], **parameters: str) -> Resource:
        """Apply a rendered document, and return the object; raises RefusedError where it is rejected."""
        target = resource_of(sent)
        kind = self.api.resource(target.api_version, target.kind)
        retrying = Retrying(wait=wait_fixed(0.1), retry=_is_temporary(target.kind, self.api.timeouts), reraise=True)
        try:
            retrying(
                kind.server_side_apply,
                body=sent,
                name=target.name,
                namespace=target.namespace,
                field_manager=FIELD_MANAGER,
                force_conflicts=True,
                **parameters,
            )
        except ApiException as error:
            if not error.status:  # no response
                raise ClusterError(f"cannot apply {target}: {reason(error)}") from error
            raise RefusedError(f"{target} was rejected: {reason(error)}") from error
        return target

    def remove(self, resources: Iterable[Resource]) -> None:
        """Delete objects in reverse order; one that no longer exists is ignored."""
        for resource in reversed(list(resources)):
            try:
                self.api.resource(resource.api_version, resource.kind).delete(
                    name=resource.name, namespace=resource.namespace
                )
            except ApiException as error:
                if error.status != 404:
                    raise ClusterError(f"cannot delete {resource}: {reason(error)}") from error


def resource_of(sent: dict[str, Any]) -> Resource:
    """Return the object that a rendered document describes."""
    metadata = sent["metadata"]
    return Resource(sent["apiVersion"], sent["kind"], metadata.get("namespace"), metadata["name"])


def _is_temporary(kind: str, timeouts: Timeouts) -> Callable[[RetryCallState], bool]:
    """Return a check whether a rejection is temporary.

    For a RoleBinding, the API server compares the user's permissions with the rules of the Role, which it reads from a
    cache: right after the Role's creation it may not be in there, and the response is 404. While istiod restarts, its
    validating webhook is unavailable.
    """

    def is_temporary(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, ApiException):
            return False
        if kind == "RoleBinding" and error.status == 404:
            return state.seconds_since_start is not None and state.seconds_since_start < timeouts.role
        unavailable = error.status == 500 and "failed to call webhook" in reason(error)
        return unavailable and state.seconds_since_start is not None and state.seconds_since_start < timeouts.api

    return is_temporary
