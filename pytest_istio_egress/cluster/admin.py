"""Sends requests to the admin interface of a proxy, from inside its pod."""

from __future__ import annotations

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.model.text import one_line

ADDRESS = "http://localhost:15000"
"""By name: Envoy listens on 127.0.0.1, or on ::1 where pods have only IPv6 addresses."""


class NoAnswerError(ClusterError):
    """The admin interface of a proxy did not respond, or no program in the pod could send the request."""


def admin(api: Api, pod: Pod, path: str) -> str:
    """Return the response of the admin interface to GET `path` (such as "/clusters"); raises NoAnswerError.

    A client's pod has a container with curl. A gateway's pod has only the proxy, whose image may be distroless: there
    only pilot-agent can send the request.
    """
    agent = ["pilot-agent", "request", "GET", path.removeprefix("/")]
    curl = ["curl", "-s", "--noproxy", "*", "--max-time", "10", ADDRESS + path]
    result = run(api, pod, agent if pod.container == PROXY else curl)
    if result.exit != 0:
        raise NoAnswerError(
            f"the proxy of {pod} did not respond to GET {path} on its admin interface: {one_line(result.stderr)}"
        )
    return result.stdout
