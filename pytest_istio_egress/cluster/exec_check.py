"""Whether commands can be run in pods: exec needs a WebSocket, which not every way to the API server carries."""

from __future__ import annotations

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from kubernetes.stream import stream
from websocket import WebSocketException

from pytest_istio_egress.cluster.api import Api, reason
from pytest_istio_egress.cluster.api_proxy import proxy_used
from pytest_istio_egress.cluster.exec_connection import handshake_status
from pytest_istio_egress.model.text import one_line


def why_no_exec(api: Api, namespace: str) -> str:
    """Return why an exec cannot be started, empty where it can.

    The pod of the request does not exist: 404 is the API server's response to an exec that it would have started.
    """
    core = client.CoreV1Api(api.new_client())
    try:
        stream(core.connect_get_namespaced_pod_exec, "none", namespace, command=["true"], stdout=True, stderr=True)
    except ApiException as error:
        match handshake_status(error):
            case 404:
                return ""
            case 401:
                return api.login.rejected
        return _problem(reason(error), proxy_used(api.configuration))
    except (WebSocketException, OSError) as error:
        return _problem(one_line(error), proxy_used(api.configuration))
    return ""


def _problem(why: str, proxy: str) -> str:
    through = (
        f" through the proxy {proxy}: it must let WebSockets pass"
        if proxy
        else "; check `kubectl exec`, and whether a load balancer in front of the API server lets WebSockets pass"
    )
    return f"exec in a pod is not possible: {why}{through}"
