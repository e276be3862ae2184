"""The steps until a cluster is ready, each of which polls for a fact."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import http
import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from pytest_istio_egress.embedded.api_client import ApiClient, RefusedError, collection_path
from pytest_istio_egress.embedded.ip_families import Network
from pytest_istio_egress.embedded.node_plan import ETCD, NETWORK_POLICY_HOLDS, NodePlan

MANIFESTS = Path(__file__).parent / "manifests"
FOR_UPSTREAM_WAYPOINTS = (MANIFESTS / "upstream_waypoint" / "peer_metadata.yaml",)
LATER = {"CustomResourceDefinition": 1, "Deployment": 1, "DaemonSet": 1, "EnvoyFilter": 2}
PATIENCE = 120.0  # seconds until a start is given up
POLL = 0.05  # seconds between two requests to the API
ETCD_POLL = 0.01  # the same for etcd, which is ready in a tenth of a second
REFUSAL_PATIENCE = 15.0  # seconds until an object that the API server rejects is an error
APPLIERS = 6
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1"


class NotReadyError(Exception):
    """A step was not ready in time; the text names it and its last state."""


class Start:
    """Applies the objects that a cluster starts with and waits for them. `tell(event, **facts)` reports steps."""

    def __init__(self, plan: NodePlan, tell: Callable[..., None]) -> None:
        self._plan = plan
        self._tell = tell
        self._deadline = time.monotonic() + PATIENCE

    @functools.cached_property
    def _api(self) -> ApiClient:
        return ApiClient(self._plan.pki)

    async def etcd_answers(self) -> None:
        """Wait until etcd has a leader: an API server that connects before that retries only after a second."""

        def healthy() -> bool:
            with contextlib.closing(http.client.HTTPConnection(ETCD, timeout=PATIENCE)) as etcd:
                etcd.request("GET", "/health")
                return etcd.getresponse().status == http.HTTPStatus.OK

        await self._until(healthy, "etcd", poll=ETCD_POLL)

    async def api_answers(self) -> None:
        """Wait until the API server serves. It is ready a second later, while the other components start."""
        await self._until(lambda: bool(self._api.request("GET", "/version")), "the API server")

    async def api_is_ready(self) -> None:
        """Wait until the API server is ready, with its hooks after the start."""
        await self._until(lambda: self._api.request("GET", "/readyz") == "ok", "the API server")

    async def apply_manifests(self) -> None:
        """Create CoreDNS' and Istio's objects."""
        await asyncio.to_thread(self._apply)

    async def node_is_ready(self) -> None:
        """Wait for the node's Ready condition."""
        path = f"/api/v1/nodes/{self._plan.node}"
        await self._until(lambda: _condition(self._api.request("GET", path), "Ready"), "the node")

    async def istio_is_ready(self) -> None:
        """Wait for CoreDNS, istiod, both of its webhooks and the egress gateway."""
        waited: dict[str, Callable[[], bool]] = {
            "CoreDNS": functools.partial(self._available, "kube-system", "coredns"),
            "istiod": functools.partial(self._available, "istio-system", "istiod"),
            "Istio's webhooks": self._webhooks_serve,
            "network policy": NETWORK_POLICY_HOLDS.exists,
            "egress gateway": functools.partial(self._available, "istio-system", "istio-egressgateway"),
        }
        if self._plan.ambient:
            waited |= {
                "CNI agent": functools.partial(self._on_the_node, "istio-cni-node"),
                "ztunnel": functools.partial(self._on_the_node, "ztunnel"),
            }
        for step in waited:
            self._tell("started", step=step)
        for step, holds in waited.items():
            await self._until(holds, step)
            self._tell("finished", step=step)

    def _available(self, namespace: str, name: str) -> bool:
        return _condition(
            self._api.request("GET", f"/apis/apps/v1/namespaces/{namespace}/deployments/{name}"), "Available"
        )

    def _on_the_node(self, daemon_set: str) -> bool:
        path = f"/apis/apps/v1/namespaces/istio-system/daemonsets/{daemon_set}"
        return bool(self._api.request("GET", path)["status"].get("numberReady"))

    def _webhooks_serve(self) -> bool:
        """Return whether istiod has set its webhooks' certificate, and the failure policy of validation to Fail."""
        hooks: list[dict[str, Any]] = []
        for kind in ("mutatingwebhookconfigurations", "validatingwebhookconfigurations"):
            for item in self._api.request("GET", f"{WEBHOOKS}/{kind}")["items"]:
                hooks += item["webhooks"]
        return all(hook["clientConfig"].get("caBundle") and hook["failurePolicy"] == "Fail" for hook in hooks)

    async def _until(self, holds: Callable[[], bool], what: str, poll: float = POLL) -> None:
        last = "no response yet"
        while time.monotonic() < self._deadline:
            try:
                if await asyncio.to_thread(holds):
                    return
                last = "not yet"
            except (RefusedError, OSError, http.client.HTTPException) as error:
                last = str(error) or type(error).__name__
            await asyncio.sleep(poll)
        raise NotReadyError(f"{what} was not ready within {PATIENCE:.0f} s (last state: {last}){self._pods()}")

    def _pods(self) -> str:
        try:
            pods = self._api.request("GET", "/api/v1/pods")["items"]
        except (RefusedError, OSError, http.client.HTTPException):
            return ""
        return "".join(
            f"\n{pod['metadata']['namespace']}/{pod['metadata']['name']}: {json.dumps(pod['status'])[:600]}"
            for pod in pods
        )

    def _apply(self) -> None:
        files = [*sorted(MANIFESTS.glob("*.yaml")), *(FOR_UPSTREAM_WAYPOINTS if self._plan.upstream_waypoints else ())]
        shipped = [file.read_text(encoding="utf-8") for file in files]
        objects = [
            *mesh_authority(self._plan.pki),
            *(found for text in shipped for found in with_addresses(yaml.safe_load_all(text), self._plan.networks)),
            *json.loads(self._plan.istio_manifest.read_bytes()),
        ]
        api = ApiClient(self._plan.pki)
        for name in ("kube-system", "istio-system"):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
            self._create_in_time(api, namespace)
        # Pods take longest to start, so the objects that they need come first and Istio's CRDs last.
        objects.sort(key=lambda found: LATER.get(found["kind"], 0))
        waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        for found in objects:
            waiting.put(found)
        failures: list[Exception] = []
        threads = [threading.Thread(target=self._drain, args=(waiting, failures)) for _ in range(APPLIERS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if failures:
            raise failures[0]

    def _drain(self, waiting: queue.SimpleQueue[dict[str, Any]], failures: list[Exception]) -> None:
        api = ApiClient(self._plan.pki)
        while not failures:
            try:
                found = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                self._create_in_time(api, found)
            except NotReadyError as error:
                failures.append(error)

    def _create_in_time(self, api: ApiClient, found: dict[str, Any]) -> None:
        """Create an object; an API server that is not ready yet rejects some kinds for a while."""
        give_up = time.monotonic() + REFUSAL_PATIENCE
        while True:
            try:
                create(api, found)
            except (RefusedError, OSError, http.client.HTTPException) as error:
                if time.monotonic() > give_up:
                    raise NotReadyError(f"{found['kind']} {found['metadata']['name']} was rejected: {error}") from error
                time.sleep(POLL)
            else:
                return


def with_addresses(objects: Iterable[dict[str, Any]], networks: Sequence[Network]) -> Iterator[dict[str, Any]]:
    """Yield the objects; the Service of DNS with its addresses, which pods know from their resolv.conf."""
    for found in objects:
        if (found["kind"], found["metadata"]["name"]) == ("Service", "kube-dns"):
            addresses = [network.dns_service for network in networks]
            policy = "SingleStack" if len(addresses) == 1 else "RequireDualStack"
            found["spec"] |= {"clusterIP": addresses[0], "clusterIPs": addresses, "ipFamilyPolicy": policy}
        yield found


def mesh_authority(pki: Path) -> list[dict[str, Any]]:
    """Return the mesh's certificate authority as the Secret of Istio's "Plug in CA Certificates".

    As the root exists from the start, the gateway's pod need not wait for istiod to publish it.
    """
    certificate, key = (
        (pki / "mesh-ca.crt").read_text(encoding="ascii"),
        (pki / "mesh-ca.key").read_text(encoding="ascii"),
    )
    parts = {"ca-cert.pem": certificate, "ca-key.pem": key, "root-cert.pem": certificate, "cert-chain.pem": certificate}
    return [
        {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "cacerts", "namespace": "istio-system"},
            "stringData": parts,
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": "istio-ca-root-cert",
                "namespace": "istio-system",
                "labels": {"istio.io/config": "true"},
            },
            "data": {"root-cert.pem": certificate},
        },
    ]


def create(api: ApiClient, found: dict[str, Any]) -> None:
    """Create an object; one that exists is not changed."""
    try:
        api.request("POST", collection_path(found), found)
    except RefusedError as error:
        if error.status != http.client.CONFLICT:
            raise


def _condition(found: dict[str, Any], kind: str) -> bool:
    conditions = found.get("status", {}).get("conditions", [])
    return any(condition["type"] == kind and condition["status"] == "True" for condition in conditions)
