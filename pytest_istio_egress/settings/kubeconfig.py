"""Reads which context is meant, from kubeconfig files alone: no cluster is contacted and no client imported."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

IN_CLUSTER = "in-cluster"
"""Stands for the context where there is no kubeconfig but a pod's own service account; cluster/api.py knows it, too."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoContextError(Exception):
    """No cluster is configured, or not the one asked for. The message is one line."""


def chosen_context(kubeconfig: Path | None, context: str | None) -> tuple[Path | None, str]:
    """Return the kubeconfig file (None: several, named by $KUBECONFIG) and the name of the context in it.

    A `context` of None means the current one. In a pod without any such file, it is the pod's own service account:
    (None, IN_CLUSTER). Raises NoContextError where there is none.
    """
    files = [kubeconfig] if kubeconfig else _usual_files()
    there = [file for file in files if file.is_file()]
    if not there and kubeconfig is None and context in (None, IN_CLUSTER) and _in_a_pod():
        return None, IN_CLUSTER
    if not there:
        raise NoContextError(f"no cluster is configured: no kubeconfig file at {_listed(files)}")
    current, known = _contexts(there)
    name = context or current
    if not name:
        raise NoContextError(
            f"no cluster is configured: {_listed(there)} has no current context; choose one of its contexts "
            f"({_listed(known)}) with --istio-egress-context"
        )
    if name not in known:
        raise NoContextError(f"{_listed(there)} has no context {name!r}; its contexts: {_listed(known)}")
    return (there[0] if len(files) == 1 else None), name


def _in_a_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").is_file()


def _usual_files() -> list[Path]:
    listed = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return listed or [Path.home() / ".kube" / "config"]


def _contexts(files: list[Path]) -> tuple[str | None, list[str]]:
    """Return the current context and all contexts, merged as kubectl does: the first file that says it wins."""
    import yaml

    current: str | None = None
    known: list[str] = []
    for file in files:
        try:
            content: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            current = current or content.get("current-context") or None
            known += [str(entry["name"]) for entry in content.get("contexts") or []]
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise NoContextError(f"{file} can't be read: {' '.join(str(error).split())}") from error
        except (AttributeError, KeyError, TypeError) as error:
            raise NoContextError(f"{file} is not a kubeconfig file") from error
    return current, known


def _listed(things: list[Path] | list[str]) -> str:
    return ", ".join(str(thing) for thing in things) or "none"
