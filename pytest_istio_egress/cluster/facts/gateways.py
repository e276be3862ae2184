"""Egress gateways: found by their Services and the proxies behind them, however they were installed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.facts.mesh_config import CUSTOM, NO_LOG, access_log, telemetry_logs
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, labels, name
from pytest_istio_egress.model.mesh_facts import BY_GATEWAY_API, STOCK_GATEWAY, Gateway

OF_GATEWAY_API = "gateway.networking.k8s.io/gateway-name"
_STATUS_PORT = 15021


def egress_gateways(look: ObjectReader, settings: dict[str, Any], root: str) -> list[Gateway]:
    """Return the gateways whose labels or name say "egress", the one that Istio's documents name first."""
    found = []
    for service in look.objects("v1", "Service"):
        if _says_egress(service) and RUN_LABEL not in labels(service):
            gateway = as_gateway(look, service, settings, root)
            if gateway:
                found.append(gateway)
    return sorted(found, key=_documented_first)


def _documented_first(gateway: Gateway) -> tuple[bool, bool, str, str]:
    stock = STOCK_GATEWAY.labels.items() <= gateway.labels.items()
    return not stock, gateway.made_by == BY_GATEWAY_API, gateway.namespace, gateway.service


def _says_egress(service: Object) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and any("egress" in word for word in (name(service), *selector.values()))


def named_gateway(look: ObjectReader, named: str, settings: dict[str, Any], root: str) -> Gateway:
    """Return the gateway of NAMESPACE/SERVICE; raises ClusterError where no proxy of Istio's stands behind it."""
    namespace, _, wanted = named.partition("/")
    for service in look.objects("v1", "Service", namespace):
        if name(service) == wanted:
            gateway = as_gateway(look, service, settings, root)
            if gateway:
                return gateway
            raise ClusterError(f"behind the Service {wanted} in {namespace} is no ready gateway of Istio's")
    raise ClusterError(f"there is no Service {wanted} in the namespace {namespace} to be the egress gateway")


def as_gateway(look: ObjectReader, service: Object, settings: dict[str, Any], root: str) -> Gateway | None:
    """Return what a Service leads to as a gateway, None where it isn't one with a ready pod."""
    namespace = service["metadata"]["namespace"]
    selector = service["spec"].get("selector") or {}
    pods = [
        pod for pod in look.objects("v1", "Pod", namespace) if selector.items() <= labels(pod).items() and _ready(pod)
    ]
    routers = [pod for pod in pods if _is_router(pod)]
    if not routers:
        return None
    stock = {key: selector[key] for key, value in STOCK_GATEWAY.labels.items() if selector.get(key) == value}
    return Gateway(
        namespace=namespace,
        service=name(service),
        labels=stock or selector,
        ports=tuple(port["port"] for port in service["spec"].get("ports") or [] if port["port"] != _STATUS_PORT),
        made_by=_made_by(service, routers),
        logs=_logs(look, namespace, settings, root),
    )


def _ready(pod: Object) -> bool:
    conditions = {one["type"]: one["status"] for one in (pod.get("status") or {}).get("conditions") or []}
    return conditions.get("Ready") == "True"


def _is_router(pod: Object) -> bool:
    """Whether its proxy is a gateway's: Istio's agent is told to be a router."""
    containers = pod["spec"]["containers"]
    return any("router" in (container.get("args") or []) for container in containers)


def _made_by(service: Object, pods: Sequence[Object]) -> str:
    given = labels(service)
    if OF_GATEWAY_API in given or OF_GATEWAY_API in labels(pods[0]):
        return BY_GATEWAY_API
    if given.get("operator.istio.io/component"):
        return "istioctl"
    if given.get("helm.sh/chart", "").startswith("gateway-"):
        return "Helm chart"
    injected = (pods[0]["metadata"].get("annotations") or {}).get("inject.istio.io/templates")
    return "gateway injection" if injected else ""


def _logs(look: ObjectReader, namespace: str, settings: dict[str, Any], root: str) -> bool:
    """Whether its proxies write an access log that can be read: the namespace's Telemetry counts before the mesh's."""
    if settings.get("accessLogFormat"):
        return False
    own = telemetry_logs(look, namespace)
    if own is not None:
        return own
    return not access_log(look, settings, root).startswith((NO_LOG, CUSTOM))
