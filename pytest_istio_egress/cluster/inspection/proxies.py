"""Reads the state of the pods and proxies on a failed request's path: readiness, redirection, logs, rejections."""

from __future__ import annotations

import re
from collections.abc import Callable

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.pods import PROXY, Pod, run
from pytest_istio_egress.cluster.proxy_config import ProxyConfig

NETWORKING = "networking.istio.io/v1"
_NEVER_REDIRECTED = re.compile(r"traffic\.sidecar\.istio\.io/(exclude|include)Outbound")
_HEALTH = "http://127.0.0.1:15021/healthz/ready"
_SENT = re.compile(r"^(?!xds-grpc|sds-grpc|prometheus_stats|agent)[^:]+::.*::cx_total::(\d+)$", re.MULTILINE)


def labels(api: Api, pod: Pod) -> dict[str, str]:
    """Return a pod's labels."""
    return dict(api.core.read_namespaced_pod(pod.name, pod.namespace).metadata.labels or {})


def proxy_trouble(api: Api, pod: Pod) -> str:
    """Say why a pod's proxy is not ready, empty where it is."""
    status = api.core.read_namespaced_pod(pod.name, pod.namespace).status
    for container in [*(status.init_container_statuses or []), *(status.container_statuses or [])]:
        if container.name != PROXY or container.ready:
            continue
        state = container.state
        ended = (state and (state.waiting or state.terminated)) or None
        return f"{ended.reason or 'it ended'}" if ended else "it runs, but does not pass its readiness probe"
    # The kubelet takes a minute to find out what the proxy itself says at once.
    ran = run(api, pod, ["curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", _HEALTH])
    return (
        ""
        if ran.stdout == "200"
        else f"its health check {_HEALTH} gives {ran.stdout.replace('000', '') or 'no answer'}"
    )


def excluded(api: Api, pod: Pod) -> str:
    """Return the annotations of a pod that keep traffic from being redirected to its proxy."""
    annotations = api.core.read_namespaced_pod(pod.name, pod.namespace).metadata.annotations or {}
    return ", ".join(
        f"{name}: {value or repr('')}" for name, value in annotations.items() if _NEVER_REDIRECTED.match(name)
    )


def counts(api: Api, pod: Pod, send: Callable[[], object]) -> bool:
    """Whether the pod's Envoy counts a connection when something is sent: then traffic does pass it."""
    before = _sent(api, pod)
    send()
    return _sent(api, pod) > before


def _sent(api: Api, pod: Pod) -> int:
    """Return how many connections Envoy made to endpoints outside of its own control plane."""
    return sum(map(int, _SENT.findall(ProxyConfig(api, pod).text("/clusters"))))


def log_trouble(api: Api, log: ProxyLog) -> str:
    """Say why a proxy's log can be no witness, empty where it can."""
    if log.trouble:
        return f"the log of {log.pod} can't be read: {log.trouble}"
    if log.pod.injected and not ProxyConfig(api, log.pod).logs_requests():
        return f"the proxy of {log.pod} writes no access log: look at the Telemetry resources that concern it"
    return ""


def line_missing(log: ProxyLog) -> str:
    """Say what it means that a request passed a proxy, and no line came."""
    if not log.readable and log.unreadable:
        formats = "is its access log in Istio's text format or JSON encoding?"
        return f"the proxy of {log.pod} passed the request on, and no line of its log could be read: {formats}"
    return f"the proxy of {log.pod} passed the request on, but no line of its access log came"


def cluster_type(api: Api, pod: Pod, name: str) -> str:
    """Return Envoy's type of a proxy's cluster, empty where it has none of that name."""
    found = ProxyConfig(api, pod).cluster(name)
    return found.type if found else ""
