"""Reads the Istio resources that may explain a failure, and the Services, pods and Secrets that they reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.verdict.analysis.configuration import Configuration
from pytest_istio_egress.verdict.analysis.visibility import namespace_of, spec_of

NETWORKING = "networking.istio.io/v1"


def configuration(api: Api, namespaces: list[str] | None, clients: list[str], domain: str) -> Configuration:
    """Return the Istio resources of some namespaces (None: of all), and the objects that they reference.

    `clients` are the namespaces whose proxies may need secrets; `domain` is the cluster domain.
    """
    suffix = f".svc.{domain}"
    resources = {
        kind: _resources(api, kind, namespaces)
        for kind in ("ServiceEntry", "VirtualService", "DestinationRule", "Gateway", "Sidecar")
    }
    return Configuration(
        entries=resources["ServiceEntry"],
        rules=resources["VirtualService"],
        destination_rules=resources["DestinationRule"],
        gateways=resources["Gateway"],
        sidecars=resources["Sidecar"],
        services=_services(api, resources, suffix),
        service_suffix=suffix,
        gateway_ports={
            (namespace_of(gateway), gateway["metadata"]["name"]): _gateway_ports(api, gateway)
            for gateway in resources["Gateway"]
        },
        secrets={namespace: _secrets(api, namespace) for namespace in clients},
    )


def _resources(api: Api, kind: str, namespaces: list[str] | None) -> list[dict[str, Any]]:
    resource = api.resource(NETWORKING, kind)
    lists = (
        [resource.get(namespace=each).to_dict() for each in namespaces] if namespaces else [resource.get().to_dict()]
    )
    # A list's items come without their kind.
    return [{**item, "kind": kind} for each in lists for item in each["items"]]


def _services(api: Api, resources: Mapping[str, list[dict[str, Any]]], suffix: str) -> dict[str, frozenset[int]]:
    """Return the ports of the Services that rules reference; one that does not exist is omitted."""
    hosts = {str(spec_of(policy).get("host", "")) for policy in resources["DestinationRule"]}
    for rule in resources["VirtualService"]:
        spec = spec_of(rule)
        for route in (route for protocol in ("http", "tls", "tcp") for route in spec.get(protocol) or []):
            hosts |= {str(destination["destination"].get("host", "")) for destination in route.get("route") or []}
    services = {}
    for host in sorted(host for host in hosts if host.endswith(suffix)):
        name, _, namespace = host.removesuffix(suffix).partition(".")
        try:
            service = api.core.read_namespaced_service(name, namespace)
        except ApiException as error:
            if error.status != 404:
                raise
            continue
        services[host] = frozenset(port.port for port in service.spec.ports or [])
    return services


def _gateway_ports(api: Api, gateway: Mapping[str, Any]) -> frozenset[int] | None:
    """Return the ports of the Services of a Gateway's pods; None where it selects no pods."""
    selector = spec_of(gateway).get("selector") or {}
    label_selector = ",".join(f"{name}={value}" for name, value in selector.items())
    pods = api.core.list_pod_for_all_namespaces(label_selector=label_selector).items
    if not pods:
        return None
    ports: set[int] = set()
    for namespace in {pod.metadata.namespace for pod in pods}:
        labels = [pod.metadata.labels.items() for pod in pods if pod.metadata.namespace == namespace]
        for service in api.core.list_namespaced_service(namespace).items:
            selected = (service.spec.selector or {}).items()
            if selected and any(selected <= each for each in labels):
                ports |= {port.port for port in service.spec.ports}
    return frozenset(ports)


def _secrets(api: Api, namespace: str) -> frozenset[str] | None:
    """Return only the names of a namespace's secrets; None without the permission to list them."""
    try:
        return frozenset(secret.metadata.name for secret in api.core.list_namespaced_secret(namespace).items)
    except ApiException:
        return None
