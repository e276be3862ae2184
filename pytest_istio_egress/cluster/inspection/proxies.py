"""Reads the state of the pods and proxies on the path of a failed request: readiness, redirection, logs."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.log_config import FOUND_BY
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.pods import PROXY, Pod, container_statuses
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import AccessLogLine, parse_own_line

_EXCLUSION = re.compile(r"traffic\.sidecar\.istio\.io/(exclude|include)Outbound")
_HEALTH = "http://localhost:15021/healthz/ready"
_CONNECTIONS = re.compile(r"^(?!xds-grpc|sds-grpc|prometheus_stats|agent)[^:]+::.*::cx_total::(\d+)$", re.MULTILINE)


def labels(api: Api, pod: Pod) -> dict[str, str]:
    """Return a pod's labels."""
    return dict(api.core.read_namespaced_pod(pod.name, pod.namespace).metadata.labels or {})


def proxy_trouble(api: Api, pod: Pod) -> str:
    """Return why a pod's proxy is not ready, empty where it is."""
    for container in container_statuses(api.core.read_namespaced_pod(pod.name, pod.namespace)):
        if container.name != PROXY or container.ready:
            continue
        state = container.state
        stopped = (state and (state.waiting or state.terminated)) or None
        return str(stopped.reason or "it exited") if stopped else "it runs, but its readiness probe fails"
    # The kubelet's readiness probe needs up to a minute to notice a failure.
    curl = ["curl", "-s", "--noproxy", "*", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", _HEALTH]
    status = run(api, pod, curl).stdout
    return "" if status == "200" else f"its health check {_HEALTH} returns {status.replace('000', '') or 'no response'}"


def redirection(api: Api, pod: Pod) -> dict[str, str]:
    """Return the annotations of a pod that limit the redirection of its traffic to its proxy, by name."""
    annotations = api.core.read_namespaced_pod(pod.name, pod.namespace).metadata.annotations or {}
    return {name: value for name, value in annotations.items() if _EXCLUSION.match(name)}


def counts(api: Api, pod: Pod, send: Callable[[], object]) -> bool:
    """Whether the pod's Envoy counts a connection when a request is sent, that is, whether traffic passes it."""
    before = _connections(api, pod)
    send()
    return _connections(api, pod) > before


def _connections(api: Api, pod: Pod) -> int:
    """Return the number of connections from Envoy to endpoints, without those of its control plane."""
    return sum(map(int, _CONNECTIONS.findall(ProxyConfig(api, pod).text("/clusters"))))


def log_trouble(api: Api, log: ProxyLog[AccessLogLine], needed: Collection[str] = FOUND_BY) -> str:
    """Return why a proxy's access log cannot be used, empty where it can; `needed` are fields (log_config.COMPARED)."""
    if log.trouble:
        return f"cannot read the log of {log.pod}: {log.trouble}"
    problem = ProxyConfig(api, log.pod).log_problem(log.parse, needed) if log.pod.injected else None
    if problem and log.parse is parse_own_line:
        return (
            f"the proxy of {log.pod} lacks the run's own access log: check that istiod applies EnvoyFilter access-log"
        )
    return f"the access log of {log.pod} cannot be used: {problem}" if problem else ""


def line_missing(log: ProxyLog[AccessLogLine]) -> str:
    """Return why the line of a request that passed a proxy is missing."""
    if log.parse is not parse_own_line and not log.readable and log.unreadable:
        return (
            f"the proxy of {log.pod} forwarded the request, but its access log cannot be parsed: use Istio's default "
            "text format or JSON encoding"
        )
    return f"the proxy of {log.pod} forwarded the request, but did not log it"
