"""What a cluster demands of the run's objects: images, scheduling, labels, user ids, resources."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

IMAGES = ("curl", "go-httpbin", "nginx-unprivileged", "envoy")
"""The images of fixtures and tests, by the last part of their names."""
DEFAULT_REGISTRY = "docker.io"
"""The registry of all of them."""
GATEWAY_PLACEMENT = "egress-placement"
"""The ConfigMap with the scheduling of the pods that istiod deploys for a Gateway of the Gateway API."""
AUTO, FIXED, ASSIGNED = USER_IDS = ("auto", "fixed", "assigned")
"""Who chooses the user ids of the run's containers: FIXED is the manifests, ASSIGNED the platform."""
POD_SECURITY = "pod-security.kubernetes.io/"
"""The prefix of the labels of a namespace that Pod Security reads."""
INJECTED_IMAGE = "auto"
"""The image of a container that injection replaces by the mesh's proxy."""
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_GATEWAY_API = "gateway.networking.k8s.io/"
_PROXY = "istio-proxy"
_LINUX = {"kubernetes.io/os": "linux"}


@dataclass(frozen=True)
class Placement:
    """How the run's objects differ from the plain manifests."""

    images: Mapping[str, str] = field(default_factory=dict)
    """Replacements for images, by their names in IMAGES."""
    image_registry: str = ""
    """The registry, with a path where it has one, in place of DEFAULT_REGISTRY; empty for that one."""
    pull_secrets: tuple[str, ...] = ()
    """NAMESPACE/NAME of secrets that are copied into the run's namespaces."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[str, ...] = ()
    """KEY[=VALUE][:EFFECT], the syntax of `kubectl taint`."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels of every object and pod; those that a manifest has itself stay."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """Annotations of every object and pod; those that a manifest has itself stay."""
    resources: Mapping[str, str] = field(default_factory=dict)
    """Requests and limits of every container but the proxy, as in a ResourceQuota: `requests.cpu: 50m`."""
    user_ids: str = AUTO
    """One of USER_IDS; AUTO is FIXED until the platform is known."""
    pod_security: bool = True
    """Whether the namespaces get the Pod Security labels of their manifests."""
    proxy_image: str = INJECTED_IMAGE
    """The image of injected gateways before injection."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Placement:
        """Read what `to_mapping` returned."""
        values: dict[str, Any] = {n: tuple(each) if isinstance(each, list) else each for n, each in written.items()}
        return cls(**values)

    @classmethod
    def from_options(
        cls,
        *,
        image: Iterable[str],
        image_registry: str | None,
        pull_secret: Iterable[str],
        node_selector: Iterable[str],
        toleration: Iterable[str],
        label: Iterable[str],
        annotation: Iterable[str],
        resource: Iterable[str],
        user_ids: str,
    ) -> Placement:
        """Build it from the values of the options of these names, which are valid."""
        return cls(
            images=pairs(image),
            image_registry=image_registry or "",
            pull_secrets=tuple(pull_secret),
            node_selector=pairs(node_selector),
            tolerations=tuple(toleration),
            labels=pairs(label),
            annotations=pairs(annotation),
            resources=pairs(resource),
            user_ids=user_ids,
        )

    def apply_to(self, document: dict[str, Any]) -> dict[str, Any]:
        """Change a manifest with the run's names in place, and return it."""
        self._describe(document.setdefault("metadata", {}))
        if document["kind"] == "Namespace":
            self._restrict(document["metadata"])
        if document["kind"] == "Gateway" and document["apiVersion"].startswith(_GATEWAY_API):
            self._place_gateway(document["spec"])
        template = _template(document)
        if template is not None:
            if document["kind"] != "Pod":
                self._describe(template.setdefault("metadata", {}))
            self._place(template["spec"])
        return document

    def _describe(self, metadata: dict[str, Any]) -> None:
        """Add the labels and annotations to those that are there, which keep their values."""
        for name, wanted in (("labels", self.labels), ("annotations", self.annotations)):
            if wanted:
                metadata[name] = {**wanted, **(metadata.get(name) or {})}

    def _restrict(self, metadata: dict[str, Any]) -> None:
        """Leave out Pod Security labels that no pod needs: some users may not set them."""
        labels = metadata.get("labels") or {}
        for label in [each for each in labels if each.startswith(POD_SECURITY)]:
            if label in self.labels:
                labels[label] = self.labels[label]
            elif not self.pod_security:
                del labels[label]

    def _place_gateway(self, spec: dict[str, Any]) -> None:
        """Place the objects that istiod makes for a Gateway of the Gateway API."""
        infrastructure: dict[str, Any] = dict(spec.get("infrastructure") or {})
        self._describe(infrastructure)
        if self.scheduling:
            infrastructure["parametersRef"] = {"group": "", "kind": "ConfigMap", "name": GATEWAY_PLACEMENT}
        if infrastructure:
            spec["infrastructure"] = infrastructure

    def _place(self, pods: dict[str, Any]) -> None:
        # No variables for the Services of the namespace: some programs read such names as their own settings.
        pods.setdefault("enableServiceLinks", False)
        pods["nodeSelector"] = {**_LINUX, **(pods.get("nodeSelector") or {}), **self.node_selector}
        for container in [*pods.get("initContainers", []), *pods.get("containers", [])]:
            self._place_container(container)
        if self.pull_secrets:
            pods["imagePullSecrets"] = [{"name": secret.partition("/")[2]} for secret in self.pull_secrets]
        if self.tolerations:
            pods["tolerations"] = [*pods.get("tolerations", []), *self.scheduling["tolerations"]]
        if self.user_ids == ASSIGNED:
            _leave_user_open(pods)

    def _place_container(self, container: dict[str, Any]) -> None:
        image = container["image"]
        container["image"] = self.proxy_image if image == INJECTED_IMAGE else self.image(image)
        if container["name"] != _PROXY:  # its resources are the mesh's
            for resource, amount in self.resources.items():
                kind, _, name = resource.partition(".")
                container.setdefault("resources", {}).setdefault(kind, {})[name] = amount
        if self.user_ids == ASSIGNED:
            _leave_user_open(container)

    def image(self, image: str) -> str:
        """Return the image that replaces one of a manifest, or that one."""
        if replacement := self.images.get(image_name(image)):
            return replacement
        registry, _, path = image.partition("/")
        return f"{self.image_registry}/{path}" if self.image_registry and registry == DEFAULT_REGISTRY else image

    @property
    def scheduling(self) -> dict[str, Any]:
        """The fields of a pod's spec that restrict its nodes; empty without restrictions."""
        selector = {"nodeSelector": dict(self.node_selector)} if self.node_selector else {}
        tolerated = {"tolerations": list(map(toleration, self.tolerations))} if self.tolerations else {}
        return {**selector, **tolerated}

    def gateway_overlay(self) -> dict[str, str]:
        """Return the data of the ConfigMap GATEWAY_PLACEMENT, which istiod merges into the Deployments of gateways."""
        return {"deployment": json.dumps({"spec": {"template": {"spec": self.scheduling}}})}


def pairs(values: Iterable[str]) -> dict[str, str]:
    """Return values of the form NAME=VALUE as a mapping."""
    return {name: value for name, _, value in (each.partition("=") for each in values)}


def images_of(document: dict[str, Any]) -> list[str]:
    """Return the images of the pods of a manifest, without those that injection puts in."""
    template = _template(document)
    containers = template["spec"]["containers"] if template else ()
    return [container["image"] for container in containers if container["image"] != INJECTED_IMAGE]


def image_name(image: str) -> str:
    """Return the last part of an image's name, without registry, tag and digest."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]


def toleration(written: str) -> dict[str, str]:
    """Read KEY[=VALUE][:EFFECT] as a toleration of a pod's spec; raises ValueError for any other text."""
    taint, _, effect = written.partition(":")
    key, equals, value = taint.partition("=")
    if not key or (effect and effect not in EFFECTS):
        raise ValueError(
            f"invalid toleration {written!r}: use KEY[=VALUE][:EFFECT] (choose EFFECT from {', '.join(EFFECTS)})"
        )
    match = {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    return {**match, **({"effect": effect} if effect else {})}


def _leave_user_open(owner: dict[str, Any]) -> None:
    """Remove the user from the securityContext of a pod or container."""
    context = owner.get("securityContext")
    if context:
        owner["securityContext"] = {name: value for name, value in context.items() if name != "runAsUser"}


def _template(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return the pod, or the pod template, of a manifest; None where it has none."""
    if document["kind"] == "Pod":
        return document
    spec = document.get("spec")
    template = spec.get("template") if isinstance(spec, dict) and document["kind"] in _WITH_PODS else None
    return template if isinstance(template, dict) and isinstance(template.get("spec"), dict) else None


_WITH_PODS = frozenset({"Deployment", "DaemonSet", "StatefulSet", "Job"})
