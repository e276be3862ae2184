"""Looks at a cluster's objects for the detectors: each kind is listed once, as plain mappings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason

Object = dict[str, Any]


class ObjectReader(Protocol):
    """What a detector may ask: all objects of a kind, in one namespace or in all; none where the kind isn't served."""

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """Return objects as the API writes them; raises ClusterError where they may not be listed."""
        ...

    def one(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return one object, None where it isn't there; raises ClusterError where it may not be read."""
        ...


class ApiObjectReader:
    """Asks the API, and remembers the answers for the time of detection."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._known: dict[tuple[str, str, str | None], list[Object]] = {}

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """Return all objects of a kind."""
        asked = (api_version, kind, namespace)
        if asked not in self._known:
            self._known[asked] = self._list(*asked)
        return self._known[asked]

    def one(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return one object."""
        try:
            found: Object = self.api.resource(api_version, kind).get(name=name, namespace=namespace).to_dict()
        except ApiException as error:
            if error.status == 404:
                return None
            where = f" in {namespace}" if namespace else ""
            raise ClusterError(f"{kind} {name} can't be read{where}: {reason(error)}") from error
        return found

    def _list(self, api_version: str, kind: str, namespace: str | None) -> list[Object]:
        if not self.api.serves(api_version, kind):
            return []
        try:
            found = self.api.resource(api_version, kind).get(namespace=namespace)
        except ApiException as error:
            where = f" in {namespace}" if namespace else ""
            raise ClusterError(f"{kind} can't be listed{where}: {reason(error)}") from error
        items: list[Object] = found.to_dict().get("items") or []
        return items


def labels(found: Object) -> dict[str, str]:
    """Return an object's labels."""
    return found["metadata"].get("labels") or {}


def name(found: Object) -> str:
    """Return an object's name."""
    return str(found["metadata"]["name"])


def selects(selector: Object | None, given: dict[str, str]) -> bool:
    """Whether a label selector, in the API's own words, takes these labels; an empty one takes all."""
    selector = selector or {}
    if any(given.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_holds(expression, given) for expression in selector.get("matchExpressions") or [])


def _holds(expression: Object, given: dict[str, str]) -> bool:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In":
            return given.get(key) in values
        case "NotIn":
            return given.get(key) not in values
        case "Exists":
            return key in given
        case _:
            return key not in given
