"""Watches pods, namespaces and policies, and applies them as nftables rules. A process of the node."""

from __future__ import annotations

import http.client
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from pytest_istio_egress.embedded.api_client import ApiClient, RefusedError
from pytest_istio_egress.embedded.network_policy.judgement import judge, pods_of
from pytest_istio_egress.embedded.network_policy.ruleset import ruleset

USER = "network-policy"
RESOURCES = {
    "pods": "/api/v1/pods",
    "namespaces": "/api/v1/namespaces",
    "policies": "/apis/networking.k8s.io/v1/networkpolicies",
}
RETRY = 0.2  # seconds until a request to the API is repeated after an error
TOGETHER = 0.02  # seconds in which changes are collected


class Store:
    """The objects as last seen, by resource and uid; `changed` is set when one of them has changed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._objects: dict[str, dict[str, dict[str, Any]] | None] = dict.fromkeys(RESOURCES)
        self.changed = threading.Event()

    def replace(self, resource: str, items: list[dict[str, Any]]) -> None:
        """Replace the objects of a resource by those of a list."""
        with self._lock:
            self._objects[resource] = {item["metadata"]["uid"]: item for item in items}
        self.changed.set()

    def take(self, resource: str, event: dict[str, Any]) -> None:
        """Apply one event of a watch."""
        with self._lock:
            objects = self._objects[resource] or {}
            if event["type"] == "DELETED":
                objects.pop(event["object"]["metadata"]["uid"], None)
            else:
                objects[event["object"]["metadata"]["uid"]] = event["object"]
            self._objects[resource] = objects
        self.changed.set()

    def script(self) -> str | None:
        """Return the rules for the current objects; None until every resource has been listed."""
        with self._lock:
            if any(objects is None for objects in self._objects.values()):
                return None
            seen = {resource: list((objects or {}).values()) for resource, objects in self._objects.items()}
        labels = {item["metadata"]["name"]: item["metadata"].get("labels") or {} for item in seen["namespaces"]}
        return ruleset(judge(pods_of(seen["pods"]), labels, seen["policies"]))


def follow(store: Store, resource: str, pki: Path) -> None:
    """Keep one resource in the store up to date, until the process ends."""
    api = ApiClient(pki, USER)
    path = RESOURCES[resource]
    while True:
        try:
            found = api.request("GET", path)
            store.replace(resource, found["items"])
            for event in api.watch(path, found["metadata"]["resourceVersion"]):
                if event["type"] == "ERROR":
                    break  # the resource version has expired: list again
                if event["type"] != "BOOKMARK":
                    store.take(resource, event)
        except (RefusedError, OSError, http.client.HTTPException, ValueError) as error:
            print(f"{resource}: {error}", file=sys.stderr, flush=True)  # noqa: T201  # stderr is this component's log
            time.sleep(RETRY)


def main(pki: str, ready: str) -> int:
    """Enforce until killed; the file `ready` is created when the first rules are in force."""
    store = Store()
    for resource in RESOURCES:
        threading.Thread(target=follow, args=(store, resource, Path(pki)), daemon=True).start()
    held: str | None = None
    while True:
        store.changed.wait()
        time.sleep(TOGETHER)
        store.changed.clear()
        script = store.script()
        if script is None or script == held:
            continue
        subprocess.run(["nft", "-f", "-"], input=script.encode(), check=True)
        held = script
        Path(ready).touch()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
