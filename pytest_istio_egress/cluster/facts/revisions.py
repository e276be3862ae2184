"""Control planes side by side: their revisions and tags, and the labels by which each injects."""

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
    """A label that has a namespace's pods injected, and by which control plane: revision, Service, namespace."""

    label: tuple[str, str]
    revision: str
    service: str
    namespace: str

    def __str__(self) -> str:
        """Return it as `key=value`."""
        return "=".join(self.label)


def injectors(look: ObjectReader) -> list[Injector]:
    """Return every label that some webhook of Istio's takes, the revisions' own first, then tags, then the default."""
    found: dict[tuple[str, str], Injector] = {}
    for configuration in look.objects("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"):
        hooks = [hook for hook in configuration.get("webhooks") or [] if "sidecar-injector" in hook["name"]]
        service = next((hook["clientConfig"]["service"] for hook in hooks if hook["clientConfig"].get("service")), None)
        if service is None:  # no injector, or one outside the cluster
            continue
        given = labels(configuration)
        revision = given.get(REVISION, DEFAULT_REVISION)
        host = _SERVICE_OF_A_TAG.sub("", service["name"])
        for label in _candidates(given, revision):
            if label not in found and any(_injects(hook, label) for hook in hooks):
                found[label] = Injector(label, revision, host, service["namespace"])
    return list(found.values())


def _candidates(given: dict[str, str], revision: str) -> list[tuple[str, str]]:
    named = [(REVISION, value) for value in (revision, given.get(TAG)) if value]
    return [*named, ENABLED]


def _injects(hook: Object, label: tuple[str, str]) -> bool:
    """Whether a hook takes an unlabelled pod of a namespace that has just this label."""
    return selects(hook.get("namespaceSelector"), dict([label])) and selects(hook.get("objectSelector"), {})


def chosen(found: Sequence[Injector], wanted: str | None) -> Injector:
    """Return the injector to use: of the revision or tag that is wanted, else the mesh's default.

    Raises ClusterError, with what there is, where none fits or several do and nobody said which.
    """
    if not found:
        raise ClusterError(
            "no sidecar injector of Istio's is in this cluster (no MutatingWebhookConfiguration of its own): install "
            "Istio with sidecars, or say --istio-egress-fact control-plane=NAMESPACE and injection=KEY=VALUE"
        )
    if wanted:
        fits = [one for one in found if one.label == (REVISION, wanted)] or [
            one for one in found if one.revision == wanted
        ]
        if not fits:
            known = ", ".join(sorted({one.label[1] for one in found if one.label[0] == REVISION}))
            raise ClusterError(f"the mesh has no revision or tag {wanted!r} that injects; there are {known or 'none'}")
        return fits[0]
    default = next((one for one in found if one.label == ENABLED), None)
    if default:
        return default
    revisions = sorted({one.revision for one in found})
    if len(revisions) > 1:
        raise ClusterError(
            f"the mesh has the revisions {', '.join(revisions)}, and none injects where istio-injection=enabled: "
            "choose one with --istio-egress-revision"
        )
    return found[0]


def istiods(look: ObjectReader, namespace: str) -> list[Object]:
    """Return the control plane's Deployments of a namespace."""
    return [found for found in look.objects("apps/v1", "Deployment", namespace) if labels(found).get("app") == "istiod"]


def istiod(look: ObjectReader, namespace: str, revision: str) -> Object:
    """Return the Deployment of one revision; raises ClusterError where it is not there."""
    there = istiods(look, namespace)
    if not there:
        raise ClusterError(f"no istiod in the namespace {namespace}: this cluster has no Istio there")
    fits = [found for found in there if labels(found).get(REVISION, DEFAULT_REVISION) == revision]
    if not fits:
        names = ", ".join(sorted(map(name, there)))
        raise ClusterError(f"no istiod of the revision {revision} in {namespace}, which has {names}")
    return fits[0]


def version(deployment: Object) -> str:
    """Return Istio's version: the tag of istiod's image."""
    image = str(deployment["spec"]["template"]["spec"]["containers"][0]["image"]).partition("@")[0]
    return image.rsplit(":", 1)[-1] if ":" in image.rsplit("/", 1)[-1] else image


def environment(deployment: Object) -> dict[str, str]:
    """Return istiod's environment, where it is written out."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    return {entry["name"]: str(entry.get("value", "")) for entry in container.get("env") or []}


def described(look: ObjectReader, found: Sequence[Injector]) -> str:
    """Return every revision with its version and the labels that it injects by."""
    lines = []
    for namespace, revision in dict.fromkeys((one.namespace, one.revision) for one in found):
        by = ", ".join(str(one) for one in found if (one.namespace, one.revision) == (namespace, revision))
        lines.append(f"{revision} in {namespace} ({version(istiod(look, namespace, revision))}; injects {by})")
    return "; ".join(lines)
