"""Reads what the explanation of a request needs: the proxies on its way, and the resources. Changes nothing."""

from __future__ import annotations

from urllib.parse import SplitResult

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.inspection import proxies
from pytest_istio_egress.cluster.inspection.ambient_way import way_through_ztunnel
from pytest_istio_egress.cluster.inspection.configuration import ConfigurationReader
from pytest_istio_egress.cluster.inspection.explained_request import ExplainedRequest
from pytest_istio_egress.cluster.inspection.sidecar_way import way_through_sidecar
from pytest_istio_egress.cluster.own_workload import selector
from pytest_istio_egress.cluster.pods import Pod, list_pods, only_ready
from pytest_istio_egress.model.mesh_facts import CLUSTER_DOMAIN, MeshFacts
from pytest_istio_egress.model.probe import DEFAULT_PORTS
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest
from pytest_istio_egress.verdict.explanation import Explanation


def explain(api: Api, mesh: MeshFacts, workload: str, namespace: str, url: SplitResult) -> Explanation:
    """Return the way of a request from `<kind>/<name>` in a namespace, by the proxies' configuration.

    Raises ClusterError where the workload has no ready pod whose traffic passes a proxy, InvalidTestError where there
    is no such workload.
    """
    client = _client(api, workload, namespace)
    labels = proxies.labels(api, client)
    port = url.port or DEFAULT_PORTS[url.scheme]
    request = ClientRequest(namespace=namespace, labels=labels, host=url.hostname or "", port=port)
    domain = mesh.value("cluster-domain", CLUSTER_DOMAIN)
    configuration = _reader(api, mesh).read([namespace])
    asked = ExplainedRequest(client=client, request=request, url=url, configuration=configuration, domain=domain)
    return Explanation(
        request=f"{namespace}/{workload} -> {url.geturl()}",
        way=way_through_sidecar(api, asked) if client.injected else way_through_ztunnel(api, asked),
        unread=tuple(sorted(configuration.unread)),
    )


def _client(api: Api, workload: str, namespace: str) -> Pod:
    ready = only_ready(list_pods(api, namespace, selector(api, workload, namespace)))
    if not ready:
        raise ClusterError(f"{workload} in namespace {namespace} has no ready pod")
    passing = [pod for pod in ready if pod.injected or pod.ambient]
    if not passing:
        raise ClusterError(
            f"the pods of {workload} in namespace {namespace} have no sidecar, and are not redirected to ztunnel: no "
            "proxy has a part in their requests"
        )
    return passing[0]


def _reader(api: Api, mesh: MeshFacts) -> ConfigurationReader:
    return ConfigurationReader(
        api,
        control_plane=mesh.control_plane,
        config_maps=mesh.config_maps,
        domain=mesh.value("cluster-domain", CLUSTER_DOMAIN),
        revision=mesh.value("revision"),
    )
