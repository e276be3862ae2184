"""What the API tells of some namespaces at one moment: pods and their states, events, the ends of logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pytest_istio_egress.cluster.api import Api

LAST_LINES = 500
_SHOWN = ("name", "namespace", "labels", "creationTimestamp", "deletionTimestamp", "ownerReferences")


def pod_states(api: Api, namespaces: Iterable[str]) -> list[dict[str, Any]]:
    """Return every pod: what it is called and made of, Istio's annotations, its whole status."""
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
    """Return the events, one line each, in the order of their time: when, type, reason, whose, how often, what."""
    found = [event for namespace in namespaces for event in _plain(api, api.core.list_namespaced_event(namespace))]
    return sorted(map(_event, found))


def _event(event: dict[str, Any]) -> str:
    when = event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp", "-")
    what = event["involvedObject"]
    whose = f"{str(what.get('kind', '-')).lower()}/{what.get('name', '-')} -n {what.get('namespace', '-')}"
    told = " ".join(str(event.get("message") or "").split())
    return f"{when} {event.get('type', '-')} {event.get('reason', '-')} {whose} {event.get('count') or 1}x {told}"


def log_end(api: Api, namespace: str, name: str, container: str, since: int) -> str:
    """Return the last lines of a container's log of the last `since` seconds, as they are."""
    return str(
        api.core.read_namespaced_pod_log(
            name, namespace, container=container, since_seconds=max(1, since), tail_lines=LAST_LINES
        )
        or ""
    )


def log_ends(api: Api, namespace: str, since: int, selector: str = "") -> str:
    """Return the logs of all containers of a namespace's pods, each below a line that says whose it is."""
    parts = []
    for pod in _plain(api, api.core.list_namespaced_pod(namespace, label_selector=selector)):
        name = pod["metadata"]["name"]
        parts += [
            f"==> {name} {container['name']} <==\n{log_end(api, namespace, name, container['name'], since)}"
            for container in pod["spec"]["containers"]
        ]
    return "\n".join(parts)


def _plain(api: Api, found: Any) -> list[dict[str, Any]]:
    """Return what the API said, in its own words rather than in the generated client's."""
    items: list[dict[str, Any]] = api.client.sanitize_for_serialization(found)["items"]
    return items
