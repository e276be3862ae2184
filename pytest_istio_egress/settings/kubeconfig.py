"""Chooses the kubeconfig context, without contacting a cluster or importing a client."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from pytest_istio_egress.model.kube_context import IN_CLUSTER
from pytest_istio_egress.model.text import one_line

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoContextError(Exception):
    """No cluster is configured, or there is no such context. The message is one line."""


def chosen_context(kubeconfig: Path | None, context: str | None) -> tuple[Path | None, str]:
    """Return the kubeconfig file (None: several, named by $KUBECONFIG) and the name of the context in it.

    A `context` of None means the current one. In a pod without a kubeconfig it is the pod's service account:
    (None, IN_CLUSTER). Raises NoContextError where there is none.
    """
    files = [kubeconfig] if kubeconfig else _default_files()
    existing = [file for file in files if file.is_file()]
    if not existing and kubeconfig is None and context in (None, IN_CLUSTER) and _in_a_pod():
        return None, IN_CLUSTER
    if not existing:
        raise NoContextError(f"no cluster configured: no kubeconfig file at {_listed(files)}")
    current, names = _contexts(existing)
    name = context or current
    if not name:
        raise NoContextError(
            f"no cluster configured: {_listed(existing)} has no current context; choose a context with "
            f"--istio-egress-context ({_listed(names)})"
        )
    if name not in names:
        raise NoContextError(f"unknown context {name!r} in {_listed(existing)} (choose from {_listed(names)})")
    return (existing[0] if len(files) == 1 else None), name


def credential_plugin(kubeconfig: Path | None, context: str | None) -> str:
    """Return the command of a context's credential plugin, empty where it has none, or is unreadable."""
    import yaml

    entries: dict[str, dict[Any, Any]] = {"contexts": {}, "users": {}}
    try:
        for file in [kubeconfig] if kubeconfig else _default_files():
            content: Any = yaml.safe_load(file.read_text(encoding="utf-8")) if file.is_file() else {}
            for kind, found in entries.items():
                for entry in content.get(kind) or []:
                    found.setdefault(entry["name"], entry[kind[:-1]] or {})
        user = entries["users"].get((entries["contexts"].get(context) or {}).get("user")) or {}
        return str((user.get("exec") or {}).get("command") or "")
    except (OSError, UnicodeDecodeError, yaml.YAMLError, AttributeError, KeyError, TypeError):
        return ""


def _in_a_pod() -> bool:
    return "KUBERNETES_SERVICE_HOST" in os.environ and (SERVICE_ACCOUNT / "token").is_file()


def _default_files() -> list[Path]:
    listed = [Path(name) for name in os.environ.get("KUBECONFIG", "").split(os.pathsep) if name]
    return listed or [Path.home() / ".kube" / "config"]


def _contexts(files: list[Path]) -> tuple[str | None, list[str]]:
    """Return the current context and all contexts, merged as kubectl does: the first file that has it wins."""
    import yaml

    current: str | None = None
    names: list[str] = []
    for file in files:
        try:
            content: Any = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
            current = current or content.get("current-context") or None
            names += [str(entry["name"]) for entry in content.get("contexts") or []]
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise NoContextError(f"cannot read {file}: {one_line(error)}") from error
        except (AttributeError, KeyError, TypeError) as error:
            raise NoContextError(f"{file} is not a kubeconfig file") from error
    return current, names


def _listed(items: list[Path] | list[str]) -> str:
    return ", ".join(map(str, items)) or "none"
