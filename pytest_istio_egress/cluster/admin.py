"""Asks a proxy's admin interface, from inside its pod."""

from __future__ import annotations

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.pods import PROXY, Pod, run

ADDRESS = "http://127.0.0.1:15000"


class NoAnswerError(ClusterError):
    """A proxy's admin interface did not answer, or there was nothing in the pod that could ask it."""


def admin(api: Api, pod: Pod, path: str) -> str:
    """Return the answer of the admin interface to GET `path` ("/clusters"); NoAnswerError where it does not answer.

    A client's pod has curl in a container of its own. A gateway's has the proxy alone, whose image may be distroless:
    there only Istio's agent can ask.
    """
    agent = ["pilot-agent", "request", "GET", path.removeprefix("/")]
    curl = ["curl", "-s", "--max-time", "10", ADDRESS + path]
    ran = run(api, pod, agent if pod.container == PROXY else curl)
    if ran.exit != 0:
        raise NoAnswerError(f"the admin interface of the proxy of {pod} did not answer {path}: {ran.stderr.strip()}")
    return ran.stdout
