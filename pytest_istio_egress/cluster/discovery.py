"""discoverySelectors of the mesh: istiod reads only namespaces that one of them selects, so the run's must be selected.

discoverySelectors: [{matchLabels: {mesh: blue}}]   ->   label mesh=blue on every namespace of the run
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.facts.objects import Object
from pytest_istio_egress.model.label_selector import matches

ALL_NAMESPACES = "all namespaces"
"""Value of the fact `discovery-selectors` where the mesh has none."""
NAME_LABEL = "kubernetes.io/metadata.name"
"""The label that the API server gives to every namespace, with its name."""
NOT_INJECTED = ("istio-injection", "disabled")
"""A label that may be replaced: pods in namespaces that have it are also labelled sidecar.istio.io/inject=false."""

Selectors = tuple[Object, ...]
"""Label selectors in the API's format; a namespace is read if one of them selects it, or if there are none."""


def described(settings: Mapping[str, Any]) -> str:
    """Return the selectors of a mesh configuration as the value of a fact, which `parsed` reads."""
    selectors = settings.get("discoverySelectors") or []
    return json.dumps(selectors, sort_keys=True) if selectors else ALL_NAMESPACES


def parsed(fact: str) -> Selectors:
    """Read the value of the fact `discovery-selectors`; raises ClusterError where it is not a JSON list."""
    if fact in ("", ALL_NAMESPACES):
        return ()
    try:
        selectors = json.loads(fact)
    except json.JSONDecodeError:
        selectors = None
    if not isinstance(selectors, list) or not all(isinstance(each, dict) for each in selectors):
        raise ClusterError(f"invalid value {fact!r} of discovery-selectors: use {ALL_NAMESPACES!r} or a JSON list")
    return tuple(selectors)


def added_labels(selectors: Selectors, name: str, labels: Mapping[str, str]) -> dict[str, str]:
    """Return the labels with which a namespace of this name and these labels is selected, empty where it is already.

    Raises ClusterError where no selector can select it.
    """
    own = {**labels, NAME_LABEL: name}
    if not selectors or any(matches(selector, own) for selector in selectors):
        return {}
    replaceable = dict([NOT_INJECTED])
    kept = {key: value for key, value in own.items() if replaceable.get(key) != value}
    for selector in selectors:
        wanted = _wanted(selector)
        if wanted.items() <= {**wanted, **kept}.items() and matches(selector, {**own, **wanted}):
            return wanted
    raise ClusterError(
        "no label of the run's namespaces satisfies the mesh's discoverySelectors, so istiod would not read them: "
        f"{json.dumps(selectors)}. Add a selector with matchLabels to the mesh configuration"
    )


def _wanted(selector: Object) -> dict[str, str]:
    """Return the labels that a selector demands; of several permitted values the first."""
    wanted = {str(key): str(value) for key, value in (selector.get("matchLabels") or {}).items()}
    for expression in selector.get("matchExpressions") or []:
        values: Sequence[str] = expression.get("values") or []
        if expression["operator"] in ("In", "Exists"):
            wanted.setdefault(str(expression["key"]), str(values[0]) if values else "true")
    return wanted
