"""Reads the Istio resources that may explain a failure, and the Services, pods and Secrets that they name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.verdict.analysis.configuration import CLUSTER_LOCAL, Configuration
from pytest_istio_egress.verdict.analysis.visibility import namespace_of, spec_of

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
