"""Where the run's pods come from and where they go: images by name, pull secrets, node selectors, tolerations."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

IMAGES = ("curl", "go-httpbin", "nginx-unprivileged", "envoy")
"""The images of fixtures and cases, by the last part of their names."""
FOR_GATEWAYS = "egress-placement"
"""The ConfigMap that says where the pods go that Istio makes for a Gateway of the Gateway API."""
_GATEWAY_API = "gateway.networking.k8s.io/"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


@dataclass(frozen=True)
class Placement:
    """What differs from the plain manifests. `pull_secrets` are NAMESPACE/NAME of secrets to be copied.

    `tolerations` are written KEY[=VALUE][:EFFECT], as `kubectl taint` has them.
    """

    images: Mapping[str, str] = field(default_factory=dict)
    pull_secrets: tuple[str, ...] = ()
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[str, ...] = ()

    def to_mapping(self) -> dict[str, Any]:
        """Return it as what JSON holds."""
        return asdict(self)

    @classmethod
    def of(cls, written: Mapping[str, Any]) -> Placement:
        """Read what `to_mapping` returned."""
        lists = {name: tuple(written.get(name, ())) for name in ("pull_secrets", "tolerations")}
        return cls(images=written.get("images", {}), node_selector=written.get("node_selector", {}), **lists)

    @classmethod
    def said(
        cls,
        *,
        image: Iterable[str],
        pull_secret: Iterable[str],
        node_selector: Iterable[str],
        toleration: Iterable[str],
    ) -> Placement:
        """Read what the options of these names hold; the table of options has checked each word."""
        return cls(pairs(image), tuple(pull_secret), pairs(node_selector), tuple(toleration))

    def placed(self, document: dict[str, Any]) -> dict[str, Any]:
        """Return a manifest with its pods placed; anything without pods is left as it is."""
        pods = _pods(document)
        if self.nodes and document["kind"] == "Gateway" and document["apiVersion"].startswith(_GATEWAY_API):
            reference = {"group": "", "kind": "ConfigMap", "name": FOR_GATEWAYS}
            document["spec"].setdefault("infrastructure", {})["parametersRef"] = reference
        if pods is not None:
            for container in [*pods.get("initContainers", []), *pods.get("containers", [])]:
                container["image"] = self.images.get(image_name(container["image"]), container["image"])
            if self.pull_secrets:
                pods["imagePullSecrets"] = [{"name": secret.partition("/")[2]} for secret in self.pull_secrets]
            if "nodeSelector" in self.nodes:
                pods["nodeSelector"] = {**pods.get("nodeSelector", {}), **self.nodes["nodeSelector"]}
            if "tolerations" in self.nodes:
                pods["tolerations"] = [*pods.get("tolerations", []), *self.nodes["tolerations"]]
        return document

    @property
    def nodes(self) -> dict[str, Any]:
        """What of a pod's spec says where it may go; empty where anywhere will do."""
        selector = {"nodeSelector": dict(self.node_selector)} if self.node_selector else {}
        tolerated = {"tolerations": list(map(toleration, self.tolerations))} if self.tolerations else {}
        return {**selector, **tolerated}

    def for_gateways(self) -> dict[str, str]:
        """Return the data of the ConfigMap FOR_GATEWAYS: what Istio lays over the Deployments of its gateways."""
        return {"deployment": json.dumps({"spec": {"template": {"spec": self.nodes}}})}


def pairs(words: Iterable[str]) -> dict[str, str]:
    """Return the parts of words that are NAME=VALUE."""
    return {name: value for name, _, value in (word.partition("=") for word in words)}


def image_name(image: str) -> str:
    """Return the last part of an image's name, without registry, tag and digest."""
    return image.partition("@")[0].rsplit("/", 1)[-1].partition(":")[0]


def toleration(written: str) -> dict[str, str]:
    """Return a toleration of KEY[=VALUE][:EFFECT]; ValueError where the effect is none of Kubernetes'."""
    taint, _, effect = written.partition(":")
    key, equals, value = taint.partition("=")
    if not key or (effect and effect not in EFFECTS):
        raise ValueError(f"a toleration is KEY[=VALUE][:EFFECT], the effect one of {', '.join(EFFECTS)}")
    found = {"key": key, "operator": "Equal", "value": value} if equals else {"key": key, "operator": "Exists"}
    return {**found, **({"effect": effect} if effect else {})}


def _pods(document: dict[str, Any]) -> dict[str, Any] | None:
    spec = document.get("spec") or {}
    if document["kind"] == "Pod":
        return document.get("spec")
    template = spec.get("template") if isinstance(spec, dict) else None
    pods = template.get("spec") if isinstance(template, dict) and document["kind"] in _WITH_PODS else None
    return pods if isinstance(pods, dict) else None


_WITH_PODS = frozenset({"Deployment", "DaemonSet", "StatefulSet", "Job"})
