"""Reads from the API and the proxies what may explain a verdict that does not hold; nothing is waited for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.analysis.configuration import CLUSTER_LOCAL, Configuration
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.nack import refused
from pytest_istio_egress.cluster.pods import PROXY, Pod, run
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.settle import rejections as error_states
from pytest_istio_egress.cluster.visibility import namespace_of, spec_of

NETWORKING = "networking.istio.io/v1"
_NEVER_REDIRECTED = re.compile(r"traffic\.sidecar\.istio\.io/(exclude|include)Outbound")
_HEALTH = "http://127.0.0.1:15021/healthz/ready"
_SENT = re.compile(r"^(?!xds-grpc|sds-grpc|prometheus_stats|agent)[^:]+::.*::cx_total::(\d+)$", re.MULTILINE)


def configuration(api: Api, namespaces: list[str] | None, clients: list[str]) -> Configuration:
    """Return the Istio resources of some namespaces (None: of all), and what they point to.

    `clients` are the namespaces whose proxies may need secrets.
    """
    found = {
        kind: _resources(api, kind, namespaces)
        for kind in ("ServiceEntry", "VirtualService", "DestinationRule", "Gateway", "Sidecar")
    }
    return Configuration(
        entries=found["ServiceEntry"],
        rules=found["VirtualService"],
        destination_rules=found["DestinationRule"],
        gateways=found["Gateway"],
        sidecars=found["Sidecar"],
        services=_services(api, found),
        gateway_ports={
            (namespace_of(gateway), gateway["metadata"]["name"]): _gateway_ports(api, gateway)
            for gateway in found["Gateway"]
        },
        secrets={namespace: _secrets(api, namespace) for namespace in clients},
    )


def _resources(api: Api, kind: str, namespaces: list[str] | None) -> list[dict[str, Any]]:
    resource = api.resource(NETWORKING, kind)
    lists = (
        [resource.get(namespace=each).to_dict() for each in namespaces] if namespaces else [resource.get().to_dict()]
    )
    # A list's items come without their kind.
    return [{**item, "kind": kind} for found in lists for item in found["items"]]


def _services(api: Api, found: Mapping[str, list[dict[str, Any]]]) -> dict[str, frozenset[int]]:
    """Look up the Services that rules name; one that is not there is left out."""
    hosts = {str(spec_of(policy).get("host", "")) for policy in found["DestinationRule"]}
    for rule in found["VirtualService"]:
        spec = spec_of(rule)
        for route in (route for protocol in ("http", "tls", "tcp") for route in spec.get(protocol) or []):
            hosts |= {str(leg["destination"].get("host", "")) for leg in route.get("route") or []}
    services = {}
    for host in sorted(host for host in hosts if host.endswith(CLUSTER_LOCAL)):
        name, _, namespace = host.removesuffix(CLUSTER_LOCAL).partition(".")
        try:
            service = api.core.read_namespaced_service(name, namespace)
        except ApiException as error:
            if error.status != 404:
                raise
            continue
        services[host] = frozenset(port.port for port in service.spec.ports or [])
    return services


def _gateway_ports(api: Api, gateway: Mapping[str, Any]) -> frozenset[int] | None:
    """Return the ports of the Services before a Gateway's pods; None where it selects none."""
    selector = spec_of(gateway).get("selector") or {}
    wanted = ",".join(f"{name}={value}" for name, value in selector.items())
    pods = api.core.list_pod_for_all_namespaces(label_selector=wanted).items
    if not pods:
        return None
    ports: set[int] = set()
    for namespace in {pod.metadata.namespace for pod in pods}:
        labels = [pod.metadata.labels.items() for pod in pods if pod.metadata.namespace == namespace]
        for service in api.core.list_namespaced_service(namespace).items:
            chosen = (service.spec.selector or {}).items()
            if chosen and any(chosen <= each for each in labels):
                ports |= {port.port for port in service.spec.ports}
    return frozenset(ports)


def _secrets(api: Api, namespace: str) -> frozenset[str] | None:
    """Return the names of a namespace's secrets, and nothing else of them."""
    try:
        return frozenset(secret.metadata.name for secret in api.core.list_namespaced_secret(namespace).items)
    except ApiException:
        return None  # who may not read secrets is told nothing about them


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


def rejections(api: Api, pods: Mapping[str, Pod], since: float) -> list[str]:
    """Return what proxies refused of their configuration in the last seconds; `pods` are theirs by what to call them.

    The config dump shows refused listeners; of clusters and routes only the proxy's own log tells.
    """
    found = []
    for whose, pod in pods.items():
        found += [f"the {whose} rejected {what}" for what in error_states(api, pod)]
        text = api.core.read_namespaced_pod_log(
            pod.name, pod.namespace, container=PROXY, since_seconds=max(1, math.ceil(since))
        )
        found += [f"the {whose} rejected its {what}" for what in refused(text)]
    return list(dict.fromkeys(found))


def cluster_type(api: Api, pod: Pod, name: str) -> str:
    """Return Envoy's type of a proxy's cluster, empty where it has none of that name."""
    found = ProxyConfig(api, pod).cluster(name)
    return found.type if found else ""
