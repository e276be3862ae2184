"""Control planes: their revisions and tags, and their injection labels."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, labels, variables
from pytest_istio_egress.model.istio_versions import older, release
from pytest_istio_egress.model.label_selector import matches
from pytest_istio_egress.model.mesh_facts import DEFAULT_REVISION

REVISION = "istio.io/rev"
TAG = "istio.io/tag"
VERSION = "app.kubernetes.io/version"
_OLDEST = "1.20"
"""Before the oldest release that is supported (model/istio_versions.py)."""
_MAJOR = 1
"""That of every release of Istio so far."""
ENABLED = ("istio-injection", "enabled")
OUTSIDE_NAMESPACE = "istio-system"
"""The namespace with the root certificates and the settings of a control plane outside of the cluster, by default."""
_SERVICE_OF_A_TAG = re.compile(r"^istiod-revision-tag-")


@dataclass(frozen=True)
class Injector:
    """A namespace label that enables sidecar injection, and the control plane that injects."""

    label: tuple[str, str]
    revision: str
    service: str
    """The Service of the control plane; empty for a control plane outside of the cluster."""
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
        if not hooks:
            continue
        own = labels(configuration)
        revision = own.get(REVISION, DEFAULT_REVISION)
        service, namespace = _control_plane(hooks)
        for label in _candidates(own, revision):
            if label not in by_label and any(_injects(hook, label) for hook in hooks):
                by_label[label] = Injector(label, revision, service, namespace)
    return list(by_label.values())


def _control_plane(hooks: Sequence[Object]) -> tuple[str, str]:
    """Return Service and namespace of the control plane; one outside the cluster (webhooks by URL) has no Service."""
    configs = [hook.get("clientConfig") or {} for hook in hooks]
    service = next((config["service"] for config in configs if config.get("service")), None)
    if service is None:
        return "", OUTSIDE_NAMESPACE
    return _SERVICE_OF_A_TAG.sub("", service["name"]), service["namespace"]


def _candidates(labels: dict[str, str], revision: str) -> list[tuple[str, str]]:
    named = [(REVISION, value) for value in (revision, labels.get(TAG)) if value]
    return [*named, ENABLED]


def _injects(hook: Object, label: tuple[str, str]) -> bool:
    """Whether a webhook injects a pod without labels in a namespace with only this label."""
    return matches(hook.get("namespaceSelector"), dict([label])) and matches(hook.get("objectSelector"), {})


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


def istiod(reader: ObjectReader, namespace: str, revision: str) -> Object | None:
    """Return the Deployment of istiod of one revision; None where it is elsewhere, as in a managed mesh."""
    own = (each for each in istiods(reader, namespace) if labels(each).get(REVISION, DEFAULT_REVISION) == revision)
    return next(own, None)


def _container(deployment: Object | None) -> Object:
    """Return istiod's container: others may stand beside it, or before it."""
    containers: Sequence[Object] = deployment["spec"]["template"]["spec"]["containers"] if deployment else []
    return next((each for each in containers if each.get("name") == "discovery"), containers[0] if containers else {})


def version(deployment: Object | None) -> str:
    """Return the version of Istio by istiod's image tag, or its label; empty where neither is a release of Istio."""
    image = str(_container(deployment).get("image", "")).partition("@")[0].rsplit("/", 1)[-1]
    template = deployment["spec"]["template"] if deployment else {}
    labelled = [labels(each).get(VERSION, "") for each in (template, deployment) if each and "metadata" in each]
    return next((each for each in (image.partition(":")[2], *labelled) if _is_release(each)), "")


def _is_release(version: str) -> bool:
    """Whether it is a release of Istio, and no number of somebody's own build or product, such as 1.0.17 or 2.6.1."""
    number = release(version)
    return number is not None and number[0] == _MAJOR and not older(version, _OLDEST)


def environment(deployment: Object | None) -> dict[str, str]:
    """Return the environment variables of istiod that have literal values."""
    return variables(_container(deployment))


def argument(deployment: Object | None, option: str) -> str:
    """Return the value of an option of istiod's command line, such as `--domain`; empty where it is not given."""
    words = [str(word) for word in _container(deployment).get("args") or []]
    joined = (word.removeprefix(f"{option}=") for word in words if word.startswith(f"{option}="))
    apart = (value for word, value in pairwise(words) if word == option)
    return next(iter((*joined, *apart)), "")


def describe(reader: ObjectReader, injectors: Sequence[Injector]) -> str:
    """Return every revision with its version and injection labels."""
    parts = []
    for namespace, revision in dict.fromkeys((each.namespace, each.revision) for each in injectors):
        own = [str(each) for each in injectors if (each.namespace, each.revision) == (namespace, revision)]
        istio = version(istiod(reader, namespace, revision)) or "unknown version"
        parts.append(f"{revision} in {namespace} ({istio}; injects {', '.join(own)})")
    return "; ".join(parts)
