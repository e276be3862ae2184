"""The ztunnel of a node: its access log, and its configuration dump."""

from __future__ import annotations

import json
import threading
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import portforward
from urllib3.exceptions import HTTPError
from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.pods import Pod, ready_pods
from pytest_istio_egress.model.text import one_line
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine, parse_ztunnel_line

SELECTOR = "app=ztunnel"
ADMIN_PORT = 15000
_REQUEST = "GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Ztunnels:
    """The ztunnels of the nodes that clients run on."""

    def __init__(self, api: Api, arrived: threading.Condition) -> None:
        self.api = api
        self._arrived = arrived
        self._lock = threading.Lock()
        self._by_node: dict[str, ProxyLog[ZtunnelLine]] = {}

    def log_for(self, pod: Pod) -> ProxyLog[ZtunnelLine]:
        """Follow the log of the ztunnel of a pod's node, and return it."""
        with self._lock:
            if pod.node not in self._by_node:
                ztunnel = ztunnel_of(self.api, pod.node)
                self._by_node[pod.node] = ProxyLog(self.api, ztunnel, self._arrived, parse_ztunnel_line)
            return self._by_node[pod.node]

    def forget(self) -> None:
        """Stop to follow all logs."""
        with self._lock:
            for log in self._by_node.values():
                log.close()
            self._by_node.clear()


def ztunnel_of(api: Api, node: str) -> Pod:
    """Return the ready ztunnel of a node; raises ClusterError where there is none."""
    try:
        found = api.core.list_pod_for_all_namespaces(label_selector=SELECTOR).items
    except ApiException as error:
        raise ClusterError(f"cannot list pods {SELECTOR}: {reason(error)}") from error
    for namespace in sorted({pod.metadata.namespace for pod in found}):
        for pod in ready_pods(api, namespace, SELECTOR):
            if pod.node == node:
                return pod
    raise ClusterError(f"no ready ztunnel on the node {node}")


def ztunnel_dump(api: Api, pod: Pod) -> dict[str, Any]:
    """Return the configuration dump of a ztunnel; raises ClusterError.

    Its admin interface listens on localhost only, and its image may have neither curl nor a shell: it is reached by a
    port-forward, as `istioctl ztunnel-config` does.
    """
    core = client.CoreV1Api(api.new_client())
    try:
        forwarded = portforward(
            core.connect_get_namespaced_pod_portforward, pod.name, pod.namespace, ports=str(ADMIN_PORT)
        )
        connection = forwarded.socket(ADMIN_PORT)
        connection.settimeout(api.timeouts.command)
        connection.sendall(_REQUEST.format(path="/config_dump").encode())
        received = bytearray()
        while part := connection.recv(1 << 16):
            received += part
        connection.close()
        dump: dict[str, Any] = json.loads(bytes(received).partition(b"\r\n\r\n")[2])
    except (ApiException, HTTPError, OSError, ValueError, WebSocketException) as error:
        why = reason(error) if isinstance(error, ApiException) else one_line(error)
        raise ClusterError(f"cannot read the configuration of {pod}: {why}") from error
    return dump
