"""A pytest plugin for noticed.py: takes away all that a case is about, wherever it would be brought in."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

WORKLOADS = frozenset({"Deployment", "ServiceAccount", "Role", "RoleBinding"})
"""Clients of a case's own, and what lets them run."""
CONVERGE = 2.0
"""Seconds until what does not hold counts as not holding. Nothing changes any more, so asking on is of no use."""


def pytest_configure() -> None:
    """Take the rules away, in every worker."""
    everything = module("staging").load
    put("staging", "load", lambda files: without_rules(everything(files)))
    # What a case changes of the mesh's own configuration, and the mode that it requires of it, are its rules, too.
    put("judge", "Judge.mesh", unchanged)
    put("requirements", "DETECT", {**module("requirements").DETECT, "registry-only-mesh": lambda _: None})
    count_alone()


def count_alone() -> None:
    """Let each outcome count alone, and soon.

    A block must be missed for its own sake, not because the control beside it has lost its rule as well.
    """
    put("egress", "Egress._beside_control", lambda _, verdict: verdict)
    put("pytest_fixtures", "Timeouts", partial(module("pytest_fixtures").Timeouts, converge=CONVERGE))


def module(name: str) -> Any:
    """Return one of the suite's modules as something that may be changed."""
    return import_module(f"pytest_istio_egress.{name}")


def put(name: str, path: str, value: Any) -> None:
    """Put something in the place of what a module has there; AttributeError where it has nothing any more."""
    *way, last = path.split(".")
    holder: Any = module(name)
    for part in way:
        holder = getattr(holder, part)
    getattr(holder, last)
    setattr(holder, last, value)


def without_rules(documents: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents that only serve a case; all else that it brings is its subject.

    A Service that selects pods is a destination inside the mesh, and stays. One that leads out (by an external name, or
    to Endpoints) is what its case is about. Settings for the proxy are taken off the workloads.
    """
    kept = [document for document in documents if document["kind"] in WORKLOADS or _selects_pods(document)]
    for document in kept:
        metadata = document.get("spec", {}).get("template", {}).get("metadata", {})
        if "annotations" in metadata:
            metadata["annotations"] = {
                name: value for name, value in metadata["annotations"].items() if "istio.io/" not in name
            }
    return kept


def _selects_pods(document: dict[str, Any]) -> bool:
    return document["kind"] == "Service" and "selector" in document["spec"]


@contextmanager
def unchanged(_judge: Any, _changes: Mapping[str, Any], _arrived: Callable[..., bool]) -> Iterator[None]:
    """Stand in for Judge.mesh: the mesh's own configuration stays as it is."""
    yield
