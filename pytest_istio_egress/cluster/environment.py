"""What a run needs in the cluster: the outside world, made once; each worker's clients; found again by their names."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.network_policies import foreign_policies
from pytest_istio_egress.cluster.names import (
    GATEWAY_NAMESPACE,
    OF_ONE_WORKER,
    SHARED_NAMESPACES,
    WORKER_NAMESPACES,
    Names,
)
from pytest_istio_egress.cluster.pod_lookup import PodLookup
from pytest_istio_egress.cluster.pods import Pod, run
from pytest_istio_egress.cluster.run_secrets import copy_pull_secrets
from pytest_istio_egress.cluster.readiness import NotReadyError
from pytest_istio_egress.cluster.run_secrets import config_map, copy_credentials, distribute_authority
from pytest_istio_egress.cluster.run_lease import RunLease, delete
from pytest_istio_egress.model.case import OWN_GATEWAY_FIXTURE
from pytest_istio_egress.model.mesh_facts import RUNS_OWN_GATEWAY
from pytest_istio_egress.model.placement import GATEWAY_PLACEMENT
from pytest_istio_egress.model.probe import NEIGHBOUR

STANDS_FOR = "istio-egress.dev/stands-for"
"""Annotation of an outside server's Service: N says that 192.0.2.N in a manifest is the Service's address,
and 192.0.2.(N+100) that of the pod behind it."""
CLIENTS = ("sleep.egress-plain", "sleep.egress-client")
"""The clients that every worker has. Others come with the first case that names their fixture."""


class Environment:
    """Everything that the run put into the cluster for its probes, under one worker's names."""

    def __init__(self, api: Api, names: Names, manifests: Path, timeout: float) -> None:
        self.api = api
        self.names = names
        self.manifests = manifests
        self.timeout = timeout
        self.pod_lookup = PodLookup(api, names, timeout, self._curl_image)
        self._case_workloads: list[str] = []
        self._fixture_workloads: dict[str, list[str]] = {}
        self._active_fixtures: list[str] = []
        self._trouble: Exception | None = None
        self.built = False
        """Whether the suite's own clients and servers are there: `build` was called."""
        self.lease = RunLease(api, names.run, names.namespace("egress-outside"))
        """Begins with the namespaces; it is for whoever made this to stop it."""

    def build(self) -> None:
        """Create what isn't there yet, and wait until every pod is ready and every address known.

        What went wrong once is told again at the next call, and not tried again: each case would wait as long.
        """
        if self._trouble:
            raise self._trouble
        try:
            self._build()
        except Exception as error:
            self._trouble = error
            raise
        self.built = True

    def _build(self) -> None:
        applier = Applier(self.api, self.names)
        documents = load(self.manifests / f"{name}.yaml" for name in ("outside", "plain", "neighbour", "client"))
        namespaces = [document for document in documents if document["kind"] == "Namespace"]
        applier.apply(namespaces, "")
        self.lease.start()
        # Certificates before the pods that mount them: a pod without its volume waits a minute for it.
        self._prepare_namespaces(applier)
        applier.apply([document for document in documents if document["kind"] != "Namespace"], "")
        try:
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(self.pod_lookup.ready, ("outside.egress-outside", "second.egress-outside", *CLIENTS)))
        except NotReadyError as error:
            policies = foreign_policies(self.api, self.namespaces)
            also = f"; the cluster put {', '.join(policies)} there" if policies else ""
            raise ClusterError(f"{error}{also}") from error
        self.names.addresses.update(self._addresses())

    def needed(self, fixtures: Iterable[str], requires: Iterable[str]) -> list[str]:
        """Return the fixtures that a case needs in this mesh: the run's own gateway is one where it's asked for."""
        own = "egress-gateway" in requires and self.names.mesh.gateway == RUNS_OWN_GATEWAY
        return [*fixtures, OWN_GATEWAY_FIXTURE] if own else [*fixtures]

    def activate(self, fixtures: Iterable[str]) -> None:
        """Have on stage the fixtures that this case needs; they are made when the first case needs them, and stay."""
        self._active_fixtures = list(dict.fromkeys(fixtures))
        missing = [name for name in self._active_fixtures if name not in self._fixture_workloads]
        if missing:
            applier = Applier(self.api, self.names)
            documents = {name: load([self.manifests / name]) for name in missing}
            for document in chain.from_iterable(documents.values()):
                applier.apply([document], "egress-outside")
                if document["kind"] == "Namespace":
                    copy_credentials(applier, document["metadata"]["name"], timeout=self.timeout)
                    copy_pull_secrets(applier, document["metadata"]["name"])
            made = {name: _workloads(parts, "egress-outside") for name, parts in documents.items()}
            for workload in chain.from_iterable(made.values()):
                self.pod_lookup.ready(workload)
            self.names.addresses.update(self._addresses())  # waits for their pods, too
            self._fixture_workloads.update(made)

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that take part in the case on stage: everybody's, once built, its fixtures' and its own."""
        return (*(CLIENTS if self.built else ()), *self._fixtures_in(*WORKER_NAMESPACES), *self._case_workloads)

    @property
    def own_gateways(self) -> list[str]:
        """The egress gateway of this worker's own, where the case on stage has it."""
        return self._fixtures_in(GATEWAY_NAMESPACE)

    def _fixtures_in(self, *namespaces: str) -> list[str]:
        on_stage = chain.from_iterable(self._fixture_workloads.get(name, ()) for name in self._active_fixtures)
        return [name for name in on_stage if name.partition(".")[2] in namespaces]

    @property
    def forward_proxies(self) -> list[Pod]:
        """The forward proxy outside, where the run has needed it."""
        return [self.pod("forward-proxy.egress-outside")] if "forward_proxy.yaml" in self._fixture_workloads else []

    def register_workloads(self, documents: Iterable[dict[str, Any]]) -> None:
        """Take in the workloads among a case's documents: they are clients too, while the case lasts."""
        self._case_workloads.extend(_workloads(documents, WORKER_NAMESPACES[0]))

    def forget_case_workloads(self) -> None:
        """Let the previous case's own workloads go."""
        for guest in self._case_workloads:
            self.pod_lookup.forget(guest)
        self._case_workloads.clear()

    def pod(self, client: str) -> Pod:
        """Return the ready pod of a client (`<app label>.<namespace>`) or of a user's own workload."""
        if client == NEIGHBOUR and client not in self.clients:
            raise ClusterError(
                f'{client} is there for cases with fixtures=["neighbour_client.yaml"]; this one has none'
            )
        return self.pod_lookup.client(client)

    def _curl_image(self) -> str:
        documents = [
            document for document in load([self.manifests / "client.yaml"]) if document["kind"] == "Deployment"
        ]
        pods = Applier(self.api, self.names).rendered(documents[0], "")["spec"]["template"]["spec"]
        return str(next(container["image"] for container in pods["containers"] if container["name"] == "curl"))

    def leave(self) -> None:
        """Have this worker's own namespaces deleted while others may still be at work: they take a while to go.

        That the run leaves nothing is seen to at its end, for all workers; here nothing has to succeed.
        """
        self.lease.stop()
        if self.built:
            with suppress(ClusterError, ApiException, HTTPError):
                delete(self.api, [self.names.namespace(name) for name in OF_ONE_WORKER])

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that this worker's pods are in."""
        return [self.names.namespace(name) for name in (*SHARED_NAMESPACES, *WORKER_NAMESPACES)]

    def reaches_outside(self) -> bool:
        """Whether a client without a sidecar gets through to a server outside: what the network does without Istio."""
        url = self.names.render("http://192.0.2.80/status/200")
        command = ["curl", "--silent", "--output", "/dev/null", "--max-time", "5", url]
        return run(self.api, self.pod("sleep.egress-plain"), command).exit == 0

    def forget(self) -> None:
        """Look every pod up anew: one of them went. Servers may have other addresses by now."""
        self.pod_lookup.forget_clients()
        if self.built:
            self.names.addresses.update(self._addresses())

    def _addresses(self) -> dict[str, str]:
        """Return the addresses of the outside servers' Services and, 100 further on, those of their pods."""
        namespace = self.names.namespace("egress-outside")
        found: dict[str, str] = {}
        for service in self.api.core.list_namespaced_service(namespace).items:
            number = (service.metadata.annotations or {}).get(STANDS_FOR)
            if number:
                pod = self.pod_lookup.server(f"{service.metadata.name}.egress-outside")
                found[f"192.0.2.{number}"] = service.spec.cluster_ip
                found[f"192.0.2.{int(number) + 100}"] = pod.address
        return found

    def _prepare_namespaces(self, applier: Applier) -> None:
        """Put into every namespace what its pods mount, are pulled with, are placed by."""
        everywhere = (*SHARED_NAMESPACES, *WORKER_NAMESPACES)
        distribute_authority(applier, everywhere)
        for namespace in everywhere:
            copy_pull_secrets(applier, namespace)
        if self.names.placement.nodes:
            data = self.names.placement.gateway_overlay()
            applier.apply([config_map(GATEWAY_PLACEMENT, namespace, data) for namespace in WORKER_NAMESPACES], "")
        copy_credentials(applier, WORKER_NAMESPACES[0], timeout=self.timeout)


def _workloads(documents: Iterable[dict[str, Any]], namespace: str) -> list[str]:
    """Name the pods of the Deployments among some documents as `<app label>.<namespace>`."""
    return [
        f"{document['spec']['selector']['matchLabels']['app']}.{document['metadata'].get('namespace', namespace)}"
        for document in documents
        if document["kind"] == "Deployment"
    ]
