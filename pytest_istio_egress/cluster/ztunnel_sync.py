"""Waits until ztunnels have everything that was applied, by markers in their configuration dump.

istiod sends a ztunnel services and policies on one stream, each kind when it changes. So there is a marker of each:
a ServiceEntry for a host that nothing requests, and an AuthorizationPolicy that selects no pod.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.markers import MARKER, name_of
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.ztunnel import ztunnel_dump, ztunnel_of
from pytest_istio_egress.model.ambient_names import NO_WAYPOINT, USE_WAYPOINT

_PAUSE = 0.1


class ZtunnelSync:
    """Applies the markers and waits for them."""

    def __init__(self, api: Api, applier: Applier, timeout: float) -> None:
        self.api = api
        self.applier = applier
        self.timeout = timeout
        self.number = 0

    def wait(self, clients: Iterable[Pod]) -> None:
        """Wait until the ztunnels of these pods' nodes have everything; raises ClusterError."""
        pods = list(clients)
        if not pods:
            return
        self.number += 1
        namespace = pods[0].namespace
        self.applier.apply(markers(self.number), namespace)
        for node in sorted({pod.node for pod in pods}):
            self._wait_for(ztunnel_of(self.api, node), namespace)

    def _wait_for(self, ztunnel: Pod, namespace: str) -> None:
        error_text = ""

        def has_markers() -> bool:
            nonlocal error_text
            try:
                error_text = ""
                dump = ztunnel_dump(self.api, ztunnel)
            except ClusterError as error:  # it may restart
                error_text = str(error)
                return False
            return shown_in(dump, namespace, self.number)

        if not poll(has_markers, every=_PAUSE, timeout=self.timeout):
            why = error_text or "istiod sent nothing; try `istioctl ztunnel-config service` and istiod's log"
            raise ClusterError(f"the ztunnel {ztunnel} did not get the configuration within {self.timeout:g} s: {why}")


def shown_in(dump: Mapping[str, Any], namespace: str, number: int) -> bool:
    """Whether a configuration dump has both markers; each worker has its own namespace, and its own numbers."""
    name = name_of(number)
    texts = {"services": f'"{name}.', "policies": f'"{name}"'}
    return all(
        any(each.get("namespace") == namespace and text in json.dumps(each) for each in dump.get(part) or ())
        for part, text in texts.items()
    )


def markers(number: int) -> list[dict[str, Any]]:
    """Return the ServiceEntry and the AuthorizationPolicy."""
    name = name_of(number)
    entry = {
        "hosts": [f"{name}.test"],
        "exportTo": ["."],
        "location": "MESH_EXTERNAL",
        "ports": [{"number": 80, "name": "http", "protocol": "HTTP"}],
        "resolution": "STATIC",
        "endpoints": [{"address": "198.51.100.1"}],
    }
    policy = {
        "selector": {"matchLabels": {"app": name}},
        "action": "DENY",
        "rules": [{"from": [{"source": {"namespaces": [name]}}]}],
    }
    return [
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "ServiceEntry",
            "metadata": {"name": MARKER, "labels": {USE_WAYPOINT: NO_WAYPOINT}},
            "spec": entry,
        },
        {
            "apiVersion": "security.istio.io/v1",
            "kind": "AuthorizationPolicy",
            "metadata": {"name": MARKER},
            "spec": policy,
        },
    ]
