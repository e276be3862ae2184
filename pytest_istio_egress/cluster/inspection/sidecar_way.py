"""Reads the way of a request from a client with a sidecar: its proxy's configuration, then the gateway's."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.inspection import proxies
from pytest_istio_egress.cluster.inspection.explained_request import ExplainedRequest
from pytest_istio_egress.cluster.inspection.proxy_dump import proxy_dump
from pytest_istio_egress.cluster.pods import PROXY, Pod, only_ready
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.analysis.hosts import addresses_of, applied
from pytest_istio_egress.verdict.explanation import (
    ExplainedHop,
    Way,
    next_request,
    odd_at_gateway,
    odd_at_sidecar,
)
from pytest_istio_egress.verdict.explanation.way import end_of
from pytest_istio_egress.verdict.proxy_path import RequestAtProxy, path_of


def way_through_sidecar(api: Api, asked: ExplainedRequest) -> Way:
    """Return the way through the client's sidecar, and through the egress gateway where it leads there."""
    request, configuration = asked.request, asked.configuration
    path = path_of(proxy_dump(api, asked.client), _at_sidecar(request, asked.url, configuration))
    hops = [ExplainedHop(name=f"sidecar of {asked.client}", path=path)]
    odd = [*odd_at_sidecar(path, configuration, request, proxies.redirection(api, asked.client))]
    received = next_request(path)
    gateway = _gateway(api, received.address) if received else None
    if gateway and received:
        own = Workload(namespace=gateway.namespace, labels=proxies.labels(api, gateway))
        path = path_of(proxy_dump(api, gateway), received)
        hops.append(ExplainedHop(name=f"gateway {gateway}", path=path))
        odd += odd_at_gateway(path, configuration, request, own)
    return Way(hops=tuple(hops), end=end_of(path), odd=tuple(odd))


def _at_sidecar(request: ClientRequest, url: SplitResult, configuration: Configuration) -> RequestAtProxy:
    address = next(iter(_addresses(request, configuration)), "")
    return RequestAtProxy.of_url(url, request.host, address=address, port=request.port)


def _addresses(request: ClientRequest, configuration: Configuration) -> Sequence[str]:
    """Return the addresses that the configuration gives the host: a Service's, or those of a ServiceEntry."""
    if service := configuration.service_of(request.host):
        address = str((service.get("spec") or {}).get("clusterIP") or "")
        return [address] if address not in ("", "None") else []
    return [address for each in applied(configuration, request) for address in addresses_of(each) if "/" not in address]


def _gateway(api: Api, address: str) -> Pod | None:
    """Return the gateway's pod with an address; None where it is another pod, or none of the cluster."""
    pods = api.core.list_pod_for_all_namespaces(field_selector=f"status.podIP={address}").items
    for pod in pods:
        containers = [*pod.spec.containers, *(pod.spec.init_containers or [])]
        proxy = next((each for each in containers if each.name == PROXY), None)
        if proxy and "router" in (proxy.args or []):
            return next(iter(only_ready([pod])), None)
    return None
