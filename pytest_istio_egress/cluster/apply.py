"""Manifests in, resources out: server-side apply and removal, everything labelled with the run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from kubernetes.client.exceptions import ApiException
from tenacity import RetryCallState, Retrying, wait_fixed

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.model.timeouts import Timeouts

RUN_LABEL = "istio-egress.dev/run"
FIELD_MANAGER = "pytest-istio-egress"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's, where PyYAML was built with it: ten times as fast."""


class RefusedError(ClusterError):
    """The API server, or Istio's validation behind it, refused a manifest; the text is the server's own."""


@dataclass(frozen=True)
class Resource:
    """Where an applied manifest went."""

    api_version: str
    kind: str
    namespace: str | None
    name: str

    def __str__(self) -> str:
        """Return it the way kubectl names it."""
        return f"{self.kind.lower()}/{self.name}" + (f" -n {self.namespace}" if self.namespace else "")


def load(files: Iterable[Path]) -> list[dict[str, Any]]:
    """Read all documents of some manifests, in order; raises ClusterError naming a file that is not YAML."""
    documents: list[dict[str, Any]] = []
    for file in files:
        try:
            found = [document for document in yaml.load_all(file.read_text(), _LOADER) if document]  # a safe one
        except (OSError, yaml.YAMLError) as error:
            raise ClusterError(f"the manifest {file} can't be read: {' '.join(str(error).split())}") from error
        documents.extend(found)
    return documents


class Applier:
    """Applies manifests under the run's names and remembers nothing: what was applied is returned."""

    def __init__(self, api: Api, names: Names) -> None:
        self.api = api
        self.names = names

    def rendered(self, document: dict[str, Any], namespace: str) -> dict[str, Any]:
        """Return the document as it is sent: the run's names, the run's label, a namespace."""
        sent: dict[str, Any] = self.names.placement.apply_to(self.names.render_manifest(document))
        metadata = sent.setdefault("metadata", {})
        if sent["kind"] != "Namespace":
            metadata.setdefault("namespace", self.names.namespace(namespace))
        metadata["labels"] = {**(metadata.get("labels") or {}), RUN_LABEL: self.names.run}
        return sent

    def apply(self, documents: Sequence[dict[str, Any]], namespace: str) -> list[Resource]:
        """Apply documents in order; those without a namespace go to the one given."""
        return [self._apply_one(self.rendered(document, namespace)) for document in documents]

    def dry_run(self, documents: Sequence[dict[str, Any]], namespace: str) -> None:
        """Have documents checked, admission and validation included, without keeping them; RefusedError if not."""
        for document in documents:
            self._apply_one(self.rendered(document, namespace), dry_run="All")

    def _apply_one(self, sent: dict[str, Any], **parameters: str) -> Resource:
        target = _target(sent)
        kind = self.api.resource(target.api_version, target.kind)
        race = Retrying(wait=wait_fixed(0.1), retry=_passes(target.kind, self.api.timeouts), reraise=True)
        try:
            race(
                kind.server_side_apply,
                body=sent,
                name=target.name,
                namespace=target.namespace,
                field_manager=FIELD_MANAGER,
                force_conflicts=True,
                **parameters,
            )
        except ApiException as error:
            if not error.status:  # no answer at all
                raise ClusterError(f"{target} can't be applied: {reason(error)}") from error
            raise RefusedError(f"{target} was refused: {reason(error)}") from error
        return target

    def resources(self, documents: Sequence[dict[str, Any]], namespace: str) -> list[Resource]:
        """Return where documents go when they are applied."""
        return [_target(self.rendered(document, namespace)) for document in documents]

    def remove(self, resources: Iterable[Resource]) -> None:
        """Delete resources, last applied first; one that is gone already is fine."""
        for resource in reversed(list(resources)):
            try:
                self.api.resource(resource.api_version, resource.kind).delete(
                    name=resource.name, namespace=resource.namespace
                )
            except ApiException as error:
                if error.status != 404:
                    raise ClusterError(f"{resource} can't be removed: {reason(error)}") from error


def _target(sent: dict[str, Any]) -> Resource:
    metadata = sent["metadata"]
    return Resource(sent["apiVersion"], sent["kind"], metadata.get("namespace"), metadata["name"])


def _passes(kind: str, timeouts: Timeouts) -> Callable[[RetryCallState], bool]:
    """Whether a refusal is one that goes by itself.

    Who may not grant everything is held against the Role's own rules, which the API server reads from a cache: right
    after the Role was made it may not be in there yet, and the answer is 404. And while istiod is restarted, nobody
    answers for Istio's validation.
    """

    def passes(state: RetryCallState) -> bool:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, ApiException):
            return False
        if kind == "RoleBinding" and error.status == 404:
            return state.seconds_since_start is not None and state.seconds_since_start < timeouts.role
        unanswered = error.status == 500 and "failed to call webhook" in reason(error)
        return unanswered and state.seconds_since_start is not None and state.seconds_since_start < timeouts.api

    return passes
