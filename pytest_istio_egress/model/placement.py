"""Images and scheduling of the run's pods: image names, pull secrets, node selectors, tolerations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

IMAGES = ("curl", "go-httpbin", "nginx-unprivileged", "envoy")
"""The images of fixtures and tests, by the last part of their names."""
GATEWAY_PLACEMENT = "egress-placement"
"""The ConfigMap with the scheduling of the pods that istiod deploys for a Gateway of the Gateway API."""
_GATEWAY_API = "gateway.networking.k8s.io/"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True)
class Placement:
    """How the run's pods differ from the plain manifests."""

    images: Mapping[str, str] = field(default_factory=dict)
    """Replacements for images, by their names in IMAGES."""
    pull_secrets: tuple[str, ...] = ()
    """NAMESPACE/NAME of secrets that are copied into the run's namespaces."""
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[str, ...] = ()
    """KEY[=VALUE][:EFFECT], the syntax of `kubectl taint`."""

    def to_mapping(self) -> dict[str, Any]:
        """Return plain data that JSON can hold."""
        return asdict(self)

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Placement:
        """Read what `to_mapping` returned."""
        lists = {name: tuple(written.get(name, ())) for name in ("pull_secrets", "tolerations")}
        return cls(images=written.get("images", {}), node_selector=written.get("node_selector", {}), **lists)

    @classmethod
    def from_options(
        cls,
        *,
        image: Iterable[str],
        pull_secret: Iterable[str],
        node_selector: Iterable[str],
        toleration: Iterable[str],
    ) -> Placement:
        """Build it from the values of the options of these names, which are valid."""
        return cls(pairs(image), tuple(pull_secret), pairs(node_selector), tuple(toleration))

    def apply_to(self, document: dict[str, Any]) -> dict[str, Any]:
        """Change the pods of a manifest in place and return it; a manifest without pods stays as it is."""
        pods = _pods(document)
        if self.scheduling and document["kind"] == "Gateway" and document["apiVersion"].startswith(_GATEWAY_API):
            reference = {"group": "", "kind": "ConfigMap", "name": GATEWAY_PLACEMENT}
            document["spec"].setdefault("infrastructure", {})["parametersRef"] = reference
        if pods is not None:
            for container in [*pods.get("initContainers", []), *pods.get("containers", [])]:
                container["image"] = self.images.get(image_name(container["image"]), container["image"])
            if self.pull_secrets:
                pods["imagePullSecrets"] = [{"name": secret.partition("/")[2]} for secret in self.pull_secrets]
            if "nodeSelector" in self.scheduling:
                pods["nodeSelector"] = {**pods.get("nodeSelector", {}), **self.scheduling["nodeSelector"]}
            if "tolerations" in self.scheduling:
                pods["tolerations"] = [*pods.get("tolerations", []), *self.scheduling["tolerations"]]
        return document

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


def _pods(document: dict[str, Any]) -> dict[str, Any] | None:
    spec = document.get("spec") or {}
    if document["kind"] == "Pod":
        return document.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pods = template.get("spec") if isinstance(template, dict) and document["kind"] in _WITH_PODS else None
    return pods if isinstance(pods, dict) else None


_WITH_PODS = frozenset({"Deployment", "DaemonSet", "StatefulSet", "Job"})
