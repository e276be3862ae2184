"""The test environment: external servers, created once per run, and the clients of each worker."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path
from typing import Any

from kubernetes import client

from pytest_istio_egress.cluster.additions import Additions
from pytest_istio_egress.cluster.address_names import RESERVED, RESERVED_SECOND
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier, RefusedError, load
from pytest_istio_egress.cluster.commands import run
from pytest_istio_egress.cluster.names import (
    AMBIENT_NAMESPACE,
    GATEWAY_NAMESPACE,
    SHARED_NAMESPACES,
    WORKER_NAMESPACES,
    Names,
)
from pytest_istio_egress.cluster.network_policies import foreign_policies
from pytest_istio_egress.cluster.pod_lookup import PodLookup
from pytest_istio_egress.cluster.pods import Pod, attribute
from pytest_istio_egress.cluster.readiness import NotReadyError
from pytest_istio_egress.cluster.refusals import is_of_the_cluster
from pytest_istio_egress.cluster.run_namespaces import CreatedNamespaces, RunNamespaces
from pytest_istio_egress.cluster.run_secrets import (
    config_map,
    copy_credentials,
    copy_pull_secrets,
    distribute_authority,
)
from pytest_istio_egress.model.ambient_names import WAYPOINT_CLASS
from pytest_istio_egress.model.case import OWN_GATEWAY_FIXTURE, InvalidTestError
from pytest_istio_egress.model.placement import GATEWAY_PLACEMENT
from pytest_istio_egress.model.probe import NEIGHBOUR, OUTSIDE

STANDS_FOR = "istio-egress.dev/stands-for"
"""Annotation of an external server's Service: with the value N, 192.0.2.N in a manifest stands for the address of the
Service, and 192.0.2.(N+100) for that of its pod; on a dual-stack cluster 2001:db8::N and 2001:db8::(N+100) for those in
its second family."""
ENVIRONMENT = ("outside", "plain", "neighbour", "client")
"""The fixtures that every test needs, in the order in which they are applied."""
CLIENTS = ("sleep.egress-plain", "sleep.egress-client")
"""The clients of every worker. Others are created with the first test that needs their fixture."""

_CREATES_PODS = frozenset({"Pod", "Deployment", "StatefulSet", "DaemonSet", "Gateway"})


class Environment:
    """The namespaces, clients and external servers of a run, with the names of one worker."""

    def __init__(
        self,
        api: Api,
        names: Names,
        manifests: Path,
        timeout: float,
        additions: Additions,
        provided: RunNamespaces | None = None,
    ) -> None:
        self.api = api
        self.names = names
        self.manifests = manifests
        self.timeout = timeout
        self.additions = additions
        """What is added to the proxies of this worker's namespaces."""
        self.notes: list[str] = []
        """What was found out with the first pods, in sentences for the user."""
        self._logged_namespaces: list[str] = []
        self.pod_lookup = PodLookup(api, names, timeout, self._curl)
        self._case_workloads: list[str] = []
        self._fixture_workloads: dict[str, list[str]] = {}
        self._fixture_waypoints: dict[str, list[str]] = {}
        self._active_fixtures: list[str] = []
        self.failure: Exception | None = None
        """Why the clients and servers could not be created, None where they were or are not needed yet."""
        self.built = False
        """Whether the clients and servers of the suite exist."""
        self._provided = provided or CreatedNamespaces(Applier(api, names))

    def build(self) -> None:
        """Create missing objects, and wait until every pod is ready and every address is known.

        After a failure, later calls raise the same error without a retry: each test would wait as long.
        """
        if self.failure:
            raise self.failure
        try:
            self._build()
        except Exception as error:
            self.failure = error
            raise
        self.built = True

    def _build(self) -> None:
        applier = Applier(self.api, self.names)
        documents = load(self.manifests / f"{name}.yaml" for name in ENVIRONMENT)
        namespaces = [document for document in documents if document["kind"] == "Namespace"]
        self._provided.begin(namespaces)
        # Certificates before the pods that mount them: a pod without its volume waits a minute for it.
        self._prepare_namespaces(applier)
        for namespace in WORKER_NAMESPACES:
            self._add_access_log(namespace)
        applier.apply([document for document in documents if document["kind"] != "Namespace"], "")
        try:
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(self.pod_lookup.ready, ("outside.egress-outside", "second.egress-outside", *CLIENTS)))
        except NotReadyError as error:
            policies = foreign_policies(self.api, self.namespaces)
            added = f"; the cluster added {', '.join(policies)}" if policies else ""
            raise ClusterError(f"{error}{added}") from error
        self.names.addresses.update(self._addresses())

    def needed(self, fixtures: Iterable[str], requires: Iterable[str]) -> list[str]:
        """Return the fixtures that a test needs in this mesh, including the run's own egress gateway."""
        own = "egress-gateway" in requires and self.names.mesh.gateway.is_runs_own
        return [*fixtures, OWN_GATEWAY_FIXTURE] if own else [*fixtures]

    def activate(self, fixtures: Iterable[str]) -> None:
        """Make these fixtures available for a test: they are created on first use, and stay for the run."""
        self._active_fixtures = list(dict.fromkeys(fixtures))
        missing = [name for name in self._active_fixtures if name not in self._fixture_workloads]
        if missing:
            applier = Applier(self.api, self.names)
            documents = {name: load([self.manifests / name]) for name in missing}
            for document in chain.from_iterable(documents.values()):
                if document["kind"] != "Namespace":
                    applier.apply([document], "egress-outside")
                else:
                    self._provided.add(document)
                    copy_credentials(applier, document["metadata"]["name"], timeout=self.timeout)
                    copy_pull_secrets(applier, document["metadata"]["name"])
                    distribute_authority(applier, [document["metadata"]["name"]])
                    self._add_access_log(document["metadata"]["name"])
            created = {name: _workloads(parts, "egress-outside") for name, parts in documents.items()}
            for workload in chain.from_iterable(created.values()):
                self.pod_lookup.ready(workload)
            self.names.addresses.update(self._addresses())  # also waits for their pods
            self._fixture_workloads.update(created)
            self._fixture_waypoints.update({name: _waypoints(parts) for name, parts in documents.items()})

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients of the current test: those of every test, once built, those of its fixtures, and its own."""
        of_fixtures = self._fixtures_in(*WORKER_NAMESPACES, AMBIENT_NAMESPACE)
        return (*(CLIENTS if self.built else ()), *of_fixtures, *self._case_workloads)

    @property
    def waypoints(self) -> list[Pod]:
        """The waypoints of the current test's fixtures."""
        active = chain.from_iterable(self._fixture_waypoints.get(name, ()) for name in self._active_fixtures)
        return [self.pod_lookup.client(name) for name in active]

    @property
    def own_gateways(self) -> list[str]:
        """The egress gateway of this worker, where the current test uses it."""
        return self._fixtures_in(GATEWAY_NAMESPACE)

    def may_have_pods(self, gateway: str, documents: Iterable[dict[str, Any]]) -> bool:
        """Whether a gateway has pods, or may get some: `documents` are those that the current test applied.

        In the run's own namespaces nothing else creates any; elsewhere anybody may.
        """
        namespace = self.names.namespace_of(gateway)
        of_fixtures = chain.from_iterable((*self._fixture_workloads.values(), *self._fixture_waypoints.values()))
        return (
            namespace not in self.names.namespaces
            or gateway in {*of_fixtures, *self._case_workloads}
            or any(
                _creates_pods(document) for document in documents if document["metadata"].get("namespace") == namespace
            )
        )

    def _fixtures_in(self, *namespaces: str) -> list[str]:
        active = chain.from_iterable(self._fixture_workloads.get(name, ()) for name in self._active_fixtures)
        return [name for name in active if name.partition(".")[2] in namespaces]

    @property
    def forward_proxies(self) -> list[Pod]:
        """The external forward proxy, where it was created."""
        return [self.pod("forward-proxy.egress-outside")] if "forward_proxy.yaml" in self._fixture_workloads else []

    def register_workloads(self, documents: Iterable[dict[str, Any]]) -> None:
        """Register the workloads of a test's documents as clients of that test."""
        self._case_workloads.extend(_workloads(documents, WORKER_NAMESPACES[0]))

    def forget_case_workloads(self) -> None:
        """Forget the workloads of the previous test, and the gateways that Istio created for it."""
        of_fixtures = (*self._fixture_workloads.values(), *self._fixture_waypoints.values())
        self.pod_lookup.keep({*CLIENTS, *chain.from_iterable(of_fixtures)})
        self._case_workloads.clear()

    def pod(self, client: str) -> Pod:
        """Return the ready pod of a client (`<app label>.<namespace>`) or of a user's workload."""
        if client == NEIGHBOUR and client not in self.clients:
            raise InvalidTestError(f"client {client} needs fixtures=['neighbour_client.yaml'] in @documented")
        return self.pod_lookup.client(client)

    def _curl(self) -> dict[str, Any]:
        """Return the container with curl of the clients, as it is sent."""
        documents = [
            document for document in load([self.manifests / "client.yaml"]) if document["kind"] == "Deployment"
        ]
        pods = Applier(self.api, self.names).rendered(documents[0], "")["spec"]["template"]["spec"]
        return next(dict(container) for container in pods["containers"] if container["name"] == "curl")

    def leave(self) -> None:
        """Start to delete what belongs to this worker alone."""
        self._provided.stop()
        if self.built:
            self._provided.clear()

    @property
    def namespaces(self) -> list[str]:
        """The namespaces of this worker's pods."""
        return [self.names.namespace(name) for name in (*SHARED_NAMESPACES, *WORKER_NAMESPACES)]

    def reaches_outside(self) -> bool:
        """Whether a client without a sidecar reaches an external server, that is, whether the network works."""
        url = self.names.render(f"http://{OUTSIDE}/status/200")
        command = ["curl", "--silent", "--noproxy", "*", "--output", "/dev/null", "--max-time", "5", url]
        return run(self.api, self.pod("sleep.egress-plain"), command).exit == 0

    def forget(self) -> None:
        """Look up every pod again, after one of them was replaced; servers may have other addresses."""
        self.pod_lookup.forget_clients()
        if self.built:
            self.names.addresses.update(self._addresses())

    def _addresses(self) -> dict[str, str]:
        """Return the addresses of the external servers' Services and pods, by the reserved ones (STANDS_FOR)."""
        namespace = self.names.namespace("egress-outside")
        addresses: dict[str, str] = {}
        for service in self.api.core.list_namespaced_service(namespace).items:
            number = (service.metadata.annotations or {}).get(STANDS_FOR)
            if number:
                pod = self.pod_lookup.server(f"{service.metadata.name}.egress-outside")
                addresses |= server_addresses(int(number), service, pod)
        return addresses

    def use(self, additions: Additions, why: str) -> None:
        """Add something else to the proxies from now on, because of a sentence that says what cannot be added."""
        self.additions = additions
        self.notes.append(additions.sentence(why))
        for namespace in self._logged_namespaces:
            self._apply_access_log(namespace)

    def _add_access_log(self, namespace: str) -> None:
        """Give the proxies of a namespace an access log; before its pods, so that no line is missed."""
        self._logged_namespaces.append(namespace)
        try:
            self._apply_access_log(namespace)
        except RefusedError as error:
            if self.additions.without is None or not is_of_the_cluster(str(error)):
                raise
            self.use(self.additions.without, "EnvoyFilters are refused")

    def _apply_access_log(self, namespace: str) -> None:
        Applier(self.api, self.names).apply(load([self.manifests / self.additions.access_log]), namespace)

    def _prepare_namespaces(self, applier: Applier) -> None:
        """Create the ConfigMaps and secrets that the pods of every namespace need."""
        everywhere = (*SHARED_NAMESPACES, *WORKER_NAMESPACES)
        distribute_authority(applier, everywhere)
        for namespace in everywhere:
            copy_pull_secrets(applier, namespace)
        if self.names.placement.scheduling:
            data = self.names.placement.gateway_overlay()
            applier.apply([config_map(GATEWAY_PLACEMENT, namespace, data) for namespace in WORKER_NAMESPACES], "")
        copy_credentials(applier, WORKER_NAMESPACES[0], timeout=self.timeout)


def server_addresses(number: int, service: client.V1Service, pod: Pod) -> dict[str, str]:
    """Return the addresses of an external server by the reserved ones."""
    addresses = {f"{RESERVED}{number}": service.spec.cluster_ip, f"{RESERVED}{number + 100}": pod.address}
    if pod.second_address:
        addresses[f"{RESERVED_SECOND}{number + 100}"] = pod.second_address
        for address in attribute(service.spec, "cluster_ips", "cluster_i_ps")[1:]:
            addresses[f"{RESERVED_SECOND}{number}"] = address
    return addresses


def _waypoints(documents: Iterable[dict[str, Any]]) -> list[str]:
    """Return the waypoints among some documents as `<app label>.<namespace>`."""
    return [
        f"{document['spec']['infrastructure']['labels']['app']}.{document['metadata']['namespace']}"
        for document in documents
        if document["kind"] == "Gateway" and document["spec"].get("gatewayClassName") == WAYPOINT_CLASS
    ]


def _creates_pods(document: dict[str, Any]) -> bool:
    """Whether pods come of a document; those of a Gateway of the Gateway API are Istio's."""
    return document["kind"] in _CREATES_PODS and not document["apiVersion"].startswith("networking.istio.io/")


def _workloads(documents: Iterable[dict[str, Any]], namespace: str) -> list[str]:
    """Return the Deployments among some documents as `<app label>.<namespace>`."""
    return [
        f"{document['spec']['selector']['matchLabels']['app']}.{document['metadata'].get('namespace', namespace)}"
        for document in documents
        if document["kind"] == "Deployment"
    ]
