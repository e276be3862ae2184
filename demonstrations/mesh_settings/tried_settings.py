"""The settings that are tried, from settings.yaml, and how a mesh gets them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from demonstrations.cluster_tools import run
from pytest_istio_egress.cluster.facts.mesh_config import merged
from pytest_istio_egress.embedded import EmbeddedCluster

NAMESPACE = "istio-system"
MARK = "SETTINGS"
"""A variable of istiod that tells which settings it was started with: a new value means a new pod."""
FILE = Path(__file__).parent / "settings.yaml"
OTHERS = Path(__file__).parent / "other_settings.yaml"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One entry of settings.yaml; the comment there says what its fields mean."""

    name: str
    changes: str
    mesh: Mapping[str, Any] = field(default_factory=dict)
    istiod: Mapping[str, str] = field(default_factory=dict)
    apply: str = ""
    options: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    note: str = ""

    @property
    def settings(self) -> dict[str, Any]:
        """What the mesh gets, as plain data: an entry whose data differ from those of its results is tried again."""
        return {key: value for key, value in asdict(self).items() if key in ("mesh", "istiod", "apply") and value}

    def paths(self) -> Iterator[tuple[str, str]]:
        """Yield each setting as its path and its value."""
        yield from _paths("", self.mesh) if self.mesh else ()
        yield from self.istiod.items()


def load() -> dict[str, Tried]:
    """Return the entries of settings.yaml by their names."""
    entries: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return {entry["name"]: Tried(**_with_tuples(entry)) for entry in entries}


def others() -> list[dict[str, Any]]:
    """Return the groups of other_settings.yaml: settings that are not tried, and the reason."""
    entries: list[dict[str, Any]] = yaml.safe_load(OTHERS.read_text(encoding="utf-8"))
    return entries


def listed() -> set[str]:
    """Return the names of all settings in the two files; those of proxies begin with `defaultConfig.`."""
    names = {name for group in others() for name in group["settings"]}
    for tried in load().values():
        names |= tried.istiod.keys() | tried.mesh.keys() - {"defaultConfig"}
        names |= {f"defaultConfig.{name}" for name in tried.mesh.get("defaultConfig", {})}
        names |= tried.mesh.get("defaultConfig", {}).get("proxyMetadata", {}).keys()
    return names


def _with_tuples(entry: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}


class Installation:
    """The control plane of a cluster: as it was found, and with settings."""

    def __init__(self, cluster: EmbeddedCluster) -> None:
        self._cluster = cluster
        self._mesh = self.kubectl("get", "configmap", "istio", "-o", "jsonpath={.data.mesh}")
        deployment = json.loads(self.kubectl("get", "deployment", "istiod", "-o", "json"))
        variables = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
        self._istiod = {each["name"]: each["value"] for each in variables if "value" in each}
        self._changed: set[str] = set()

    def change(self, tried: Tried) -> None:
        """Give the mesh the settings of an entry, and none of an earlier one, with new pods of istiod and gateway."""
        mesh = yaml.safe_dump(merged(yaml.safe_load(self._mesh), dict(tried.mesh)))
        patch = yaml.safe_dump({"data": {"mesh": mesh}})
        self.kubectl("patch", "configmap", "istio", "--type=merge", "-p", patch)
        if tried.apply:
            self.kubectl("apply", "-f", "-", stdin=tried.apply)
        before = {name: self._istiod.get(name) for name in self._changed}
        variables = {**before, **tried.istiod, MARK: tried.name}
        words = [f"{name}-" if value is None else f"{name}={value}" for name, value in variables.items()]
        self.kubectl("set", "env", "deployment/istiod", *words)
        self._changed = set(tried.istiod)
        self._wait_for("istiod")
        # Proxies have the defaultConfig of the time of their injection.
        self.kubectl("rollout", "restart", "deployment/istio-egressgateway")
        self._wait_for("istio-egressgateway")

    def clean(self, tried: Tried) -> None:
        """Delete the manifests of an entry."""
        if tried.apply:
            self.kubectl("delete", "--ignore-not-found", "-f", "-", stdin=tried.apply)

    def _wait_for(self, deployment: str) -> None:
        self.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=120s")

    def kubectl(self, *words: str, stdin: str | None = None) -> str:
        """Run the cluster's kubectl in Istio's namespace and return its output; raises CalledProcessError."""
        namespace = () if "-f" in words else ("-n", NAMESPACE)
        done = run(self._cluster, "kubectl", *words, *namespace, stdin=stdin)
        sys.stderr.write(done.stderr)
        done.check_returncode()
        return done.stdout


def _paths(path: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _paths(f"{path}.{name}" if path else str(name), inner)
    else:
        yield path, json.dumps(value) if isinstance(value, list | bool) else str(value)
