"""Egress gateways: detected by their Services and the proxies behind them, however they were installed."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.apply import RUN_LABEL
from pytest_istio_egress.cluster.discovery import NAME_LABEL, Selectors
from pytest_istio_egress.cluster.facts.objects import Object, ObjectReader, is_ready, labels, name
from pytest_istio_egress.model.label_selector import matches
from pytest_istio_egress.model.mesh_facts import BY_GATEWAY_API, OF_GATEWAY_API, STOCK_GATEWAY, Gateway

_STATUS_PORT = 15021
_EXPORT_TO = "networking.istio.io/exportTo"
_HTTP2 = {"http2", "grpc", "grpc-web", "kubernetes.io/h2c"}
"""Values of appProtocol for HTTP/2; a port's name begins with one of them, before its first hyphen."""


def egress_gateways(reader: ObjectReader, exports: Sequence[str], selectors: Selectors) -> list[Gateway]:
    """Return the gateways with "egress" in the name or labels, the one of Istio's documentation first.

    `exports` is the mesh's defaultServiceExportTo, here and below. Gateways in namespaces that none of the mesh's
    discoverySelectors selects belong to another mesh.
    """
    gateways = []
    for service in reader.objects("v1", "Service"):
        of_mesh = _is_egress(service) and RUN_LABEL not in labels(service)
        if of_mesh and _is_read(reader, service["metadata"]["namespace"], selectors):
            gateway = as_gateway(reader, service, exports)
            if gateway:
                gateways.append(gateway)
    return sorted(gateways, key=_documented_first)


def _is_read(reader: ObjectReader, namespace: str, selectors: Selectors) -> bool:
    """Whether istiod reads a namespace."""
    if not selectors:
        return True
    own = next((labels(each) for each in reader.objects("v1", "Namespace") if name(each) == namespace), {})
    return any(matches(selector, {**own, NAME_LABEL: namespace}) for selector in selectors)


def _documented_first(gateway: Gateway) -> tuple[bool, bool, str, str]:
    stock = STOCK_GATEWAY.labels.items() <= gateway.labels.items()
    return not stock, gateway.made_by == BY_GATEWAY_API, gateway.namespace, gateway.service


def _is_egress(service: Object) -> bool:
    selector = service["spec"].get("selector") or {}
    return bool(selector) and any("egress" in text for text in (name(service), *selector.values()))


def named_gateway(reader: ObjectReader, gateway: str, exports: Sequence[str]) -> Gateway:
    """Return the gateway of NAMESPACE/SERVICE; raises ClusterError where the Service has no ready gateway pod."""
    namespace, _, service_name = gateway.partition("/")
    for service in reader.objects("v1", "Service", namespace):
        if name(service) == service_name:
            if detected := as_gateway(reader, service, exports):
                return detected
            raise ClusterError(f"Service {gateway} has no ready Istio gateway pod")
    raise ClusterError(f"--istio-egress-gateway: no Service {service_name} in namespace {namespace}")


def untestable(gateway: Gateway) -> str | None:
    """Return why no test can use a gateway, None where tests can."""
    service = f"{gateway.service}.{gateway.namespace}"
    if gateway.made_by == BY_GATEWAY_API:
        return (
            f"the egress gateway {service} is managed by the Gateway API and ignores Istio's Gateway and "
            "VirtualService resources"
        )
    missing_ports = [str(port) for port in (80, 443) if port not in gateway.ports]
    if missing_ports:
        return f"the egress gateway Service {service} lacks port {', '.join(missing_ports)}"
    if not gateway.exported:
        return (
            f"the egress gateway Service {service} is not exported to other namespaces (its annotation {_EXPORT_TO}, "
            "or meshConfig.defaultServiceExportTo)"
        )
    return None


def as_gateway(reader: ObjectReader, service: Object, exports: Sequence[str]) -> Gateway | None:
    """Return the gateway behind a Service, None where the Service has no ready gateway pod."""
    namespace = service["metadata"]["namespace"]
    selector = service["spec"].get("selector") or {}
    found = reader.objects("v1", "Pod", namespace)
    pods = [pod for pod in found if selector.items() <= labels(pod).items() and is_ready(pod)]
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
        exported=_exported(service, exports),
        http2=_http2(service),
    )


def _exported(service: Object, exports: Sequence[str]) -> bool:
    """Whether istiod shows a Service to every namespace: by its annotation, else by the mesh's default."""
    annotation = (service["metadata"].get("annotations") or {}).get(_EXPORT_TO)
    return "*" in ([each.strip() for each in annotation.split(",")] if annotation else exports)


def _http2(service: Object) -> bool:
    """Whether Istio takes the Service's port 80 for HTTP/2: by its appProtocol, else by its name."""
    ports: list[Object] = service["spec"].get("ports") or []
    port = next((port for port in ports if port["port"] == 80), {})
    protocol = port.get("appProtocol") or port.get("name") or ""
    return protocol.lower() in _HTTP2 or (not port.get("appProtocol") and protocol.split("-")[0].lower() in _HTTP2)


def _is_router(pod: Object) -> bool:
    """Whether its proxy is a gateway: its agent has the argument `router`."""
    containers = pod["spec"]["containers"]
    return any("router" in (container.get("args") or []) for container in containers)


def _made_by(service: Object, pods: Sequence[Object]) -> str:
    own = labels(service)
    if OF_GATEWAY_API in own or OF_GATEWAY_API in labels(pods[0]):
        return BY_GATEWAY_API
    if own.get("operator.istio.io/component"):
        return "istioctl"
    if own.get("helm.sh/chart", "").startswith("gateway-"):
        return "Helm chart"
    injected = (pods[0]["metadata"].get("annotations") or {}).get("inject.istio.io/templates")
    return "gateway injection" if injected else ""
