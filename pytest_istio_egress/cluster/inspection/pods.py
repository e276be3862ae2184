"""Reads the current state of some namespaces: pods, events, the last lines of logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.model.text import one_line

LAST_LINES = 500
_SHOWN = ("name", "namespace", "labels", "creationTimestamp", "deletionTimestamp", "ownerReferences")


def pod_states(api: Api, namespaces: Iterable[str]) -> list[dict[str, Any]]:
    """Return every pod: its metadata, Istio's annotations, its containers and its complete status."""
    return [_state(pod) for namespace in namespaces for pod in _plain(api, api.core.list_namespaced_pod(namespace))]


def _state(pod: dict[str, Any]) -> dict[str, Any]:
    metadata, spec = pod["metadata"], pod["spec"]
    annotations = {key: value for key, value in metadata.get("annotations", {}).items() if "istio.io" in key}
    return {
        "metadata": {key: metadata[key] for key in _SHOWN if key in metadata} | {"annotations": annotations},
        "spec": {"nodeName": spec.get("nodeName")}
        | {
            kind: [{key: each[key] for key in ("name", "image", "restartPolicy") if key in each} for each in spec[kind]]
            for kind in ("initContainers", "containers")
            if kind in spec
        },
        "status": pod["status"],
    }


def events(api: Api, namespaces: Iterable[str]) -> list[str]:
    """Return the events in the order of time, one line each: time, type, reason, object, count, message."""
    items = [event for namespace in namespaces for event in _plain(api, api.core.list_namespaced_event(namespace))]
    return sorted(map(_event, items))


def _event(event: dict[str, Any]) -> str:
    time = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", "-")
    involved = event["involvedObject"]
    name = f"{str(involved.get('kind', '-')).lower()}/{involved.get('name', '-')} -n {involved.get('namespace', '-')}"
    message = one_line(event.get("message") or "")
    return f"{time} {event.get('type', '-')} {event.get('reason', '-')} {name} {event.get('count') or 1}x {message}"


def log_end(api: Api, namespace: str, name: str, container: str, since: int) -> str:
    """Return the last lines of a container's log of the last `since` seconds."""
    return str(
        api.core.read_namespaced_pod_log(
            name, namespace, container=container, since_seconds=max(1, since), tail_lines=LAST_LINES
        )
        or ""
    )


def log_ends(api: Api, namespace: str, since: int, selector: str = "") -> str:
    """Return the logs of all containers of a namespace's pods, each below a heading."""
    parts = []
    for pod in _plain(api, api.core.list_namespaced_pod(namespace, label_selector=selector)):
        name = pod["metadata"]["name"]
        parts += [
            f"==> {name} {container['name']} <==\n{log_end(api, namespace, name, container['name'], since)}"
            for container in pod["spec"]["containers"]
        ]
    return "\n".join(parts)


def _plain(api: Api, response: Any) -> list[dict[str, Any]]:
    """Return the items of a response with the API's field names instead of the generated client's."""
    items: list[dict[str, Any]] = api.client.sanitize_for_serialization(response)["items"]
    return items
