"""Control planes: their revisions and tags, and their injection labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, labels, name, selects
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION

REVISION = "istio.io/rev"
TAG = "istio.io/tag"
ENABLED = ("istio-injection", "enabled")
_SERVICE_OF_A_TAG = re.compile(r"^istiod-revision-tag-")


@dataclass(frozen=True)
class Injector:
    """A namespace label that enables sidecar injection, and the control plane that injects."""

    label: tuple[str, str]
    revision: str
    service: str
    """The Service of the control plane."""
    namespace: str
    """The namespace of the control plane."""

    def __str__(self) -> str:
        """Return it as `key=value`."""
        return "=".join(self.label)


def injectors(reader: ObjectReader) -> list[Injector]:
    """Return every injection label of Istio's webhooks: revisions first, then tags, then the default."""
    by_label: dict[tuple[str, str], Injector] = {}
    for configuration in reader.objects("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"):
        hooks = [hook for hook in configuration.get("webhooks") or [] if "sidecar-injector" in hook["name"]]
        service = next((hook["clientConfig"]["service"] for hook in hooks if hook["clientConfig"].get("service")), None)
        if service is None:  # not an injector, or one outside the cluster
            continue
        own = labels(configuration)
        revision = own.get(REVISION, DEFAULT_REVISION)
        host = _SERVICE_OF_A_TAG.sub("", service["name"])
        for label in _candidates(own, revision):
            if label not in by_label and any(_injects(hook, label) for hook in hooks):
                by_label[label] = Injector(label, revision, host, service["namespace"])
    return list(by_label.values())


def _candidates(labels: dict[str, str], revision: str) -> list[tuple[str, str]]:
    named = [(REVISION, value) for value in (revision, labels.get(TAG)) if value]
    return [*named, ENABLED]


def _injects(hook: Object, label: tuple[str, str]) -> bool:
    """Whether a webhook injects a pod without labels in a namespace with only this label."""
    return selects(hook.get("namespaceSelector"), dict([label])) and selects(hook.get("objectSelector"), {})


def select(candidates: Sequence[Injector], wanted: str | None) -> Injector:
    """Return the injector of a revision or tag, None: of the mesh's default.

    Raises ClusterError where there is none, or the choice is ambiguous.
    """
    if not candidates:
        raise ClusterError(
            "no Istio sidecar injector found (no MutatingWebhookConfiguration). Install Istio, or pass "
            "--istio-egress-fact control-plane=NAMESPACE and --istio-egress-fact injection=KEY=VALUE"
        )
    if wanted:
        by_label = [each for each in candidates if each.label == (REVISION, wanted)]
        matching = by_label or [each for each in candidates if each.revision == wanted]
        if not matching:
            names = sorted({each.label[1] for each in candidates if each.label[0] == REVISION})
            raise ClusterError(f"unknown revision or tag {wanted!r} (choose from {', '.join(names) or 'none'})")
        return matching[0]
    default = next((each for each in candidates if each.label == ENABLED), None)
    if default:
        return default
    revisions = sorted({each.revision for each in candidates})
    if len(revisions) > 1:
        raise ClusterError(
            f"the mesh has several revisions ({', '.join(revisions)}) and no default (istio-injection=enabled): choose "
            "one with --istio-egress-revision"
        )
    return candidates[0]


def istiods(reader: ObjectReader, namespace: str) -> list[Object]:
    """Return the Deployments of istiod in a namespace."""
    deployments = reader.objects("apps/v1", "Deployment", namespace)
    return [deployment for deployment in deployments if labels(deployment).get("app") == "istiod"]


def istiod(reader: ObjectReader, namespace: str, revision: str) -> Object:
    """Return the Deployment of istiod of one revision; raises ClusterError where it does not exist."""
    deployments = istiods(reader, namespace)
    if not deployments:
        raise ClusterError(f"no istiod Deployment in namespace {namespace}")
    matching = [each for each in deployments if labels(each).get(REVISION, DEFAULT_REVISION) == revision]
    if not matching:
        names = ", ".join(sorted(map(name, deployments)))
        raise ClusterError(f"no istiod Deployment of revision {revision} in namespace {namespace} (only {names})")
    return matching[0]


def version(deployment: Object) -> str:
    """Return the version of Istio: the tag of istiod's image."""
    image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]).partition("@")[0]
    return image.rsplit(":", 1)[-1] if ":" in image.rsplit("/", 1)[-1] else image


def environment(deployment: Object) -> dict[str, str]:
    """Return the environment variables of istiod that have literal values."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: str(entry.get("value", "")) for entry in container.get("env") or []}


def describe(reader: ObjectReader, injectors: Sequence[Injector]) -> str:
    """Return every revision with its version and injection labels."""
    parts = []
    for namespace, revision in dict.fromkeys((each.namespace, each.revision) for each in injectors):
        own = [str(each) for each in injectors if (each.namespace, each.revision) == (namespace, revision)]
        istio = version(istiod(reader, namespace, revision))
        parts.append(f"{revision} in {namespace} ({istio}; injects {', '.join(own)})")
    return "; ".join(parts)
