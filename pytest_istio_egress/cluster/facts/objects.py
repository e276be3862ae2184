"""Reads a cluster's objects for the detectors: each kind is listed once, as plain mappings; and asks proxies."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Protocol

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.admin import admin
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.pages import all_items
from pytest_istio_egress.cluster.pods import PROXY, Pod

Object = dict[str, Any]


class ObjectReader(Protocol):
    """Reads objects of a kind, in one namespace or in all; there are none where the kind is not served."""

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """Return all objects of a kind in the API's format; raises ClusterError where they cannot be listed."""
        ...

    def one(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return one object, None where it does not exist; raises ClusterError where it cannot be read."""
        ...

    def server_info(self, namespace: str, pod: str) -> Object | None:
        """Return what the proxy of a pod says of itself (`/server_info`), None where it does not answer."""
        ...


class ApiObjectReader:
    """Reads from the API, and caches lists during detection."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._lists: dict[tuple[str, str, str | None], list[Object]] = {}

    def objects(self, api_version: str, kind: str, namespace: str | None = None) -> Sequence[Object]:
        """Return all objects of a kind."""
        key = (api_version, kind, namespace)
        if key not in self._lists:
            self._lists[key] = self._list(*key)
        return self._lists[key]

    def one(self, api_version: str, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """Return one object."""
        try:
            read: Object = self.api.resource(api_version, kind).get(name=name, namespace=namespace).to_dict()
        except ApiException as error:
            if error.status == 404:
                return None
            place = f" in {namespace}" if namespace else ""
            raise ClusterError(f"cannot read {kind} {name}{place}: {reason(error)}") from error
        return read

    def server_info(self, namespace: str, pod: str) -> Object | None:
        """Return what the proxy of a pod says of itself."""
        proxy = Pod(namespace=namespace, name=pod, uid="", address="", injected=True, container=PROXY)
        try:
            answer: Object = json.loads(admin(self.api, proxy, "/server_info"))
        except (ClusterError, json.JSONDecodeError):
            return None
        return answer

    def _list(self, api_version: str, kind: str, namespace: str | None) -> list[Object]:
        if not self.api.serves(api_version, kind):
            return []
        try:
            return all_items(self.api.resource(api_version, kind), namespace)
        except ApiException as error:
            place = f" in {namespace}" if namespace else ""
            raise ClusterError(f"cannot list {kind}{place}: {reason(error)}") from error


def labels(each: Object) -> dict[str, str]:
    """Return an object's labels."""
    return each["metadata"].get("labels") or {}


def variables(container: Object) -> dict[str, str]:
    """Return the environment variables of a container that have literal values."""
    return {entry["name"]: str(entry.get("value", "")) for entry in container.get("env") or []}


def is_ready(pod: Object) -> bool:
    """Whether a pod has the condition Ready."""
    conditions = {each["type"]: each["status"] for each in (pod.get("status") or {}).get("conditions") or []}
    return conditions.get("Ready") == "True"


def name(each: Object) -> str:
    """Return an object's name."""
    return str(each["metadata"]["name"])
