"""What a run needs in the cluster: the outside world, made once; each worker's clients; found again by their names."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.certificates import Authority
from pytest_istio_egress.cluster.credentials import CREDENTIALS, SERVED, credentials, kubernetes_secret
from pytest_istio_egress.cluster.lifetime import SignOfLife, delete
from pytest_istio_egress.cluster.names import OF_ONE_WORKER, SHARED_NAMESPACES, WORKER_NAMESPACES, Names
from pytest_istio_egress.cluster.network_policies import foreign_policies
from pytest_istio_egress.cluster.own_workload import probing_pod
from pytest_istio_egress.cluster.pods import Pod, run
from pytest_istio_egress.cluster.pull_secrets import copy_pull_secrets
from pytest_istio_egress.cluster.readiness import NotReadyError, ready_pod
from pytest_istio_egress.mesh_facts import RUNS_OWN_GATEWAY
from pytest_istio_egress.placement import FOR_GATEWAYS

STANDS_FOR = "istio-egress.dev/stands-for"
"""Annotation of an outside server's Service: N says that 192.0.2.N in a manifest is the Service's address,
and 192.0.2.(N+100) that of the pod behind it."""
_AUTHORITY = "certificate-authority"
CLIENTS = ("sleep.egress-plain", *(f"sleep.{namespace}" for namespace in WORKER_NAMESPACES))
"""The clients that every worker has."""


class World:
    """Everything that the run put into the cluster for its probes, under one worker's names."""

    def __init__(self, api: Api, names: Names, manifests: Path, timeout: float) -> None:
        self.api = api
        self.names = names
        self.manifests = manifests
        self.timeout = timeout
        self._pods: dict[str, Pod] = {}
        self._borrowed: dict[str, Pod] = {}
        self._servers: dict[str, Pod] = {}
        self._lock = threading.Lock()
        self._guests: list[str] = []
        self._extended: set[str] = set()
        self._borrowing = threading.Lock()
        self._trouble: Exception | None = None
        self.built = False
        """Whether the suite's own clients and servers are there: `build` was called."""
        self.alive = SignOfLife(api, names.run, names.namespace("egress-outside"))
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
        documents = load(self.manifests / f"{name}.yaml" for name in ("outside", "plain", "client", "neighbour"))
        namespaces = [document for document in documents if document["kind"] == "Namespace"]
        applier.apply(namespaces, "")
        self.alive.start()
        # Certificates before the pods that mount them: a pod without its volume waits a minute for it.
        self._certificates(applier)
        applier.apply([document for document in documents if document["kind"] != "Namespace"], "")
        try:
            with ThreadPoolExecutor(6) as pool:
                list(pool.map(self._await, ("outside.egress-outside", "second.egress-outside", *CLIENTS)))
        except NotReadyError as error:
            policies = foreign_policies(self.api, self.namespaces)
            also = f"; the cluster put {', '.join(policies)} there" if policies else ""
            raise ClusterError(f"{error}{also}") from error
        self.names = replace(self.names, addresses=self._addresses())

    def needed(self, fixtures: Iterable[str], requires: Iterable[str]) -> list[str]:
        """Return the fixtures that a case needs in this mesh: the run's own gateway is one where it's asked for."""
        own = "egress-gateway" in requires and self.names.mesh.gateway == RUNS_OWN_GATEWAY
        return [*fixtures, *(["gateway.yaml"] * own)]

    def extend(self, fixtures: Iterable[str]) -> None:
        """Make the parts of the outside world that only some cases need, when the first of these comes."""
        missing = [name for name in dict.fromkeys(fixtures) if name not in self._extended]
        if missing:
            applier = Applier(self.api, self.names)
            documents = load(self.manifests / name for name in missing)
            applier.apply(documents, "egress-outside")
            for document in documents:
                if document["kind"] == "Namespace":
                    self._copy_credentials(applier, document["metadata"]["name"])
                    copy_pull_secrets(applier, document["metadata"]["name"])
            for client in _workloads(documents, "egress-outside"):
                self._await(client)
            self.names = replace(self.names, addresses=self._addresses())  # waits for their pods, too
            self._extended.update(missing)

    @property
    def clients(self) -> tuple[str, ...]:
        """The clients that every worker has, once they are built, and those that the case on stage brought along."""
        return (*(CLIENTS if self.built else ()), *self._guests)

    @property
    def forward_proxies(self) -> list[Pod]:
        """The forward proxy outside, where the run has needed it."""
        return [self.pod("forward-proxy.egress-outside")] if "forward_proxy.yaml" in self._extended else []

    def welcome(self, documents: Iterable[dict[str, Any]]) -> None:
        """Take in the workloads among a case's documents: they are clients too, while the case lasts."""
        self._guests.extend(_workloads(documents, WORKER_NAMESPACES[0]))

    def forget_guests(self) -> None:
        """Let the previous case's own workloads go."""
        for guest in self._guests:
            self._pods.pop(guest, None)
        self._guests.clear()

    def pod(self, client: str) -> Pod:
        """Return the ready pod of `<app label>.<namespace>`; it is looked up once and again after `forget`.

        A user's own workload (`<kind>/<name>.<namespace>`) is looked up each time: its pods come and go as they do.
        """
        if "/" in client:
            with self._borrowing:
                found = probing_pod(self.api, client, self._curl_image(), timeout=self.timeout)
                self._borrowed[client] = found
                return found
        if client not in self._pods:
            self._pods[client] = self._await(client)
        return self._pods[client]

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
        self.alive.stop()
        if self.built:
            with suppress(ClusterError, ApiException, HTTPError):
                delete(self.api, [self.names.namespace(name) for name in OF_ONE_WORKER])

    @property
    def namespaces(self) -> list[str]:
        """The namespaces that this worker's pods are in."""
        return [self.names.namespace(name) for name in (*SHARED_NAMESPACES, *WORKER_NAMESPACES)]

    def reaches_outside(self) -> bool:
        """Whether a client without a sidecar gets through to a server outside: what the network does without Istio."""
        url = self.names.text("http://192.0.2.80/status/200")
        command = ["curl", "--silent", "--output", "/dev/null", "--max-time", "5", url]
        return run(self.api, self.pod("sleep.egress-plain"), command).exit == 0

    def taking_part(self) -> list[Pod]:
        """Return the pods that verdicts rest on: clients, servers, what cases brought, as they were found."""
        return [*self._pods.values(), *self._servers.values()]

    def known(self) -> dict[str, Pod]:
        """Return the pods that were looked up already, by client, users' own included; none is waited for."""
        return {**self._pods, **self._borrowed}

    def replaced(self, client: str, failed: Pod) -> bool:
        """Whether a client's pod went and another one came, which is waited for."""
        with self._lock:
            if self._pods.get(client) == failed:
                del self._pods[client]
            return self.pod(client) != failed

    def forget(self) -> None:
        """Look every pod up anew: one of them went. Servers may have other addresses by now."""
        self._pods.clear()
        if self.built:
            self.names = replace(self.names, addresses=self._addresses())

    def _await(self, client: str) -> Pod:
        return ready_pod(self.api, self.names.home(client), self.names.selector(client), timeout=self.timeout)

    def _addresses(self) -> dict[str, str]:
        """Return the addresses of the outside servers' Services and, 100 further on, those of their pods."""
        namespace = self.names.namespace("egress-outside")
        found: dict[str, str] = {}
        for service in self.api.core.list_namespaced_service(namespace).items:
            number = (service.metadata.annotations or {}).get(STANDS_FOR)
            if number:
                server = f"{service.metadata.name}.egress-outside"
                pod = self._servers[server] = self._await(server)
                found[f"192.0.2.{number}"] = service.spec.cluster_ip
                found[f"192.0.2.{int(number) + 100}"] = pod.address
        return found

    def _certificates(self, applier: Applier) -> None:
        authority = self._authority_secret()
        public = {"ca.crt": authority["ca.crt"]}
        for namespace in (*SHARED_NAMESPACES, *WORKER_NAMESPACES):
            applier.apply([_config_map("egress-certificates", namespace, public)], namespace)
            copy_pull_secrets(applier, namespace)
        if self.names.placement.nodes:
            data = self.names.placement.for_gateways()
            applier.apply([_config_map(FOR_GATEWAYS, namespace, data) for namespace in WORKER_NAMESPACES], "")
        self._copy_credentials(applier, WORKER_NAMESPACES[0])

    def _copy_credentials(self, applier: Applier, namespace: str) -> None:
        """Put what proxies may use as credentialName beside them: a proxy gets secrets of its own namespace only."""
        outside = self.names.namespace("egress-outside")
        for attempt in Retrying(
            stop=stop_after_delay(self.timeout),
            wait=wait_fixed(0.1),
            retry=retry_if_exception_type(ClusterError),
            reraise=True,
        ):
            with attempt:  # another worker may be at making them
                found = [self._secret(outside, name) for name in CREDENTIALS]
        applier.apply([kubernetes_secret(secret.metadata.name, secret.data) for secret in found], namespace)

    def _secret(self, namespace: str, name: str) -> client.V1Secret:
        """Read one by its name: the right to read any secret of the cluster is not asked for."""
        try:
            return self.api.core.read_namespaced_secret(name, namespace)
        except ApiException as error:
            raise ClusterError(f"the run's secret {name} in {namespace} can't be read: {reason(error)}") from error

    def _authority_secret(self) -> dict[str, str]:
        """Make the run's certificates, or read them where another worker was first: one run, one authority."""
        namespace = self.names.namespace("egress-outside")
        authority = Authority(f"pytest-istio-egress run {self.names.run}", self.api.now())
        domain = f"{self.names.run}.test"
        outside = authority.sign(
            "outside", [f"*.{domain}", f"*.wild.{domain}", f"outside.{namespace}.svc.cluster.local"]
        )
        second = authority.sign("second", [f"second.{domain}"])
        marker = _config_map(_AUTHORITY, namespace, {"ca.crt": authority.certificate.decode()})
        applier = Applier(self.api, self.names)
        try:
            self.api.core.create_namespaced_config_map(namespace, applier.rendered(marker, namespace))
        except ApiException as error:
            if error.status != 409:
                raise ClusterError(f"the run's certificates can't be stored: {reason(error)}") from error
            return dict(self.api.core.read_namespaced_config_map(_AUTHORITY, namespace).data)
        for name, signed in zip(SERVED, (outside, second), strict=True):
            applier.apply([kubernetes_secret(name, signed.secret(authority.certificate))], namespace)
        for name, data in credentials(authority, revoked=outside).items():
            applier.apply([kubernetes_secret(name, data)], namespace)
        return {"ca.crt": authority.certificate.decode()}


def _workloads(documents: Iterable[dict[str, Any]], namespace: str) -> list[str]:
    """Name the pods of the Deployments among some documents as `<app label>.<namespace>`."""
    return [
        f"{document['spec']['selector']['matchLabels']['app']}.{document['metadata'].get('namespace', namespace)}"
        for document in documents
        if document["kind"] == "Deployment"
    ]


def _config_map(name: str, namespace: str, data: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }
