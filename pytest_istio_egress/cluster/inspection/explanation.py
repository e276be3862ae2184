"""Reads what the explanation of a request needs: the client's proxy, the gateway's, the resources. Changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.inspection import proxies
from pytest_istio_egress.cluster.inspection.configuration import ConfigurationReader
from pytest_istio_egress.cluster.inspection.proxy_dump import proxy_dump
from pytest_istio_egress.cluster.own_workload import selector
from pytest_istio_egress.cluster.pods import PROXY, Pod, list_pods, only_ready
from pytest_istio_egress.model.mesh_facts import MeshFacts
from pytest_istio_egress.model.probe import DEFAULT_PORTS
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.analysis.hosts import addresses_of, applied
from pytest_istio_egress.verdict.explanation import (
    ExplainedHop,
    Explanation,
    next_request,
    odd_at_gateway,
    odd_at_sidecar,
)
from pytest_istio_egress.verdict.explanation.way import end_of
from pytest_istio_egress.verdict.proxy_path import RequestAtProxy, path_of


def explain(api: Api, mesh: MeshFacts, workload: str, namespace: str, url: SplitResult) -> Explanation:
    """Return the way of a request from `<kind>/<name>` in a namespace, by the proxies' configuration.

    Raises ClusterError where the workload has no ready pod with a proxy, InvalidTestError where there is none.
    """
    client = _client(api, workload, namespace)
    labels = proxies.labels(api, client)
    port = url.port or DEFAULT_PORTS[url.scheme]
    request = ClientRequest(namespace=namespace, labels=labels, host=url.hostname or "", port=port)
    configuration = _reader(api, mesh).read([namespace])
    path = path_of(proxy_dump(api, client), _at_sidecar(request, url, configuration))
    hops = [ExplainedHop(name=f"sidecar of {client}", path=path)]
    odd = [*odd_at_sidecar(path, configuration, request, proxies.redirection(api, client))]
    received = next_request(path)
    gateway = _gateway(api, received.address) if received else None
    if gateway and received:
        own = Workload(namespace=gateway.namespace, labels=proxies.labels(api, gateway))
        path = path_of(proxy_dump(api, gateway), received)
        hops.append(ExplainedHop(name=f"gateway {gateway}", path=path))
        odd += odd_at_gateway(path, configuration, request, own)
    return Explanation(
        request=f"{namespace}/{workload} -> {url.geturl()}",
        hops=tuple(hops),
        end=end_of(path),
        odd=tuple(dict.fromkeys(odd)),
        unread=tuple(sorted(configuration.unread)),
    )


def _client(api: Api, workload: str, namespace: str) -> Pod:
    pods = list_pods(api, namespace, selector(api, workload, namespace))
    ready = only_ready(pods)
    injected = [pod for pod in ready if pod.injected]
    if not ready:
        raise ClusterError(f"{workload} in namespace {namespace} has no ready pod")
    if not injected:
        raise ClusterError(
            f"the pods of {workload} in namespace {namespace} have no sidecar: no proxy has a part in their requests"
        )
    return injected[0]


def _reader(api: Api, mesh: MeshFacts) -> ConfigurationReader:
    return ConfigurationReader(
        api,
        control_plane=mesh.control_plane,
        config_map=mesh.config_map,
        domain=mesh.value("cluster-domain", "cluster.local"),
        revision=mesh.value("revision"),
    )


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
