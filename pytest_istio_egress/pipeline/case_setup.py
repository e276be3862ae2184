"""Applies, synchronizes and removes: brings the mesh from one test's configuration to the next one's."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier, RefusedError, Resource, load, resource_of
from pytest_istio_egress.cluster.exec_connection import GoneError
from pytest_istio_egress.cluster.exported_markers import ExportedMarkers, exported_marker
from pytest_istio_egress.cluster.mesh_names import GATEWAY
from pytest_istio_egress.cluster.objects_elsewhere import ObjectsElsewhere
from pytest_istio_egress.cluster.pods import Pod, changed_pods
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.proxy_sync import ProxyNotSyncedError, ProxySync, first_sync
from pytest_istio_egress.cluster.validation_webhooks import NotValidatedError, validated_labels
from pytest_istio_egress.cluster.waypoint_markers import WaypointMarkers
from pytest_istio_egress.cluster.ztunnel_sync import ZtunnelSync
from pytest_istio_egress.model.case import CASE_NAMESPACE, Case, InvalidTestError
from pytest_istio_egress.model.probe import CLIENT, is_workload
from pytest_istio_egress.pipeline.context import WorkerContext
from pytest_istio_egress.pipeline.workload_sync import WorkloadSync

_DECIDED_BY_PROXIES = ("networking.istio.io", "security.istio.io", "telemetry.istio.io", "extensions.istio.io")
"""API groups of resources that take effect in proxies alone, which markers show."""
_OF_ISTIOD = frozenset({"Service", "Endpoints", "EndpointSlice", "Secret", "ConfigMap", "ServiceAccount"})
"""Kinds that istiod reads and sends to proxies, in another way than markers: a second marker comes after them."""
_GATEWAY_MARKER = 5.0
"""Seconds in which a marker reaches a gateway, unless the mesh sends gateways no clusters but those of their routes."""

ManifestFilter = Callable[[list[dict[str, Any]]], list[dict[str, Any]]]
"""Returns the documents to apply in place of those that a test's manifests hold."""
Waited = TypeVar("Waited")


def unchanged(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the documents as they are: the filter of an ordinary run."""
    return documents


class CaseSetup:
    """The configuration of the current test in one worker's part of the cluster."""

    def __init__(self, context: WorkerContext, applier: Applier, proxy_sync: ProxySync) -> None:
        self.context = context
        self._applier = applier
        self._objects_elsewhere = ObjectsElsewhere(applier)
        self._proxy_sync = proxy_sync
        self.case: Case | None = None
        """The test that is set up; None where none is, or where its own steps have changed what it began with."""
        self.folder = Path()
        """The folder of the current test, which relative paths of its probes start from."""
        self.syncs = 0
        """How often the proxies were waited for."""
        self.log_problem = ""
        """Why the access log of the suite's own clients cannot serve as evidence, empty where it can."""
        self.entered = time.monotonic()
        """When the current test's configuration began to change."""
        self.documents: list[dict[str, Any]] = []
        """The documents that the current test applied, as they were sent."""
        self.first_manifests: ManifestFilter = unchanged
        """Applied to the manifests that a test begins with; demonstrations remove or break rules here."""
        self.later_manifests: ManifestFilter = unchanged
        """Applied to manifests that a test adds or removes in its course, or has checked by a dry run."""
        self.changed_only_proxies = False
        """Whether what was applied for the current test takes effect in proxies alone."""
        self.changed_only_istiod = False
        """Whether it takes effect through istiod alone: in proxies, and in the addresses of Services' names."""
        self._applied: list[Resource] = []
        self._rounds = 1
        """How many markers, one after the other, show that what the current test changed has arrived."""
        self._workload_sync = WorkloadSync(f"{context.names.run}-{context.names.worker}", self._claim_markers)

    def ensure_environment(self) -> None:
        """Create the suite's own clients and servers, unless they exist: the first test that needs them pays for it.

        A test that only probes from a user's own workload needs none of them.
        """
        environment = self.context.environment
        if environment.built:
            return
        with self.context.timer.phase("environment"):
            environment.build()
        self._choose_additions()
        for pod in self._injected_clients():
            self.context.access_logs.follow(pod)

    def _choose_additions(self) -> None:
        """Wait for the new proxies; where they get no EnvoyFilters, go on without any."""
        environment = self.context.environment
        planned = self._proxy_sync.by(environment.additions.markers)
        other = environment.additions.without
        with self.context.timer.phase("sync"):
            self.syncs += 1
            self._proxy_sync = self._with_current_pods(
                lambda: first_sync(planned, other.markers if other else None, self._injected_clients())
            )
            if other and self._proxy_sync.markers is other.markers:
                environment.use(other, "the control plane ignores EnvoyFilters")
                self._proxy_sync.wait(self._injected_clients())
        self.context.access_logs.parse_own = environment.additions.parse
        self.log_problem = environment.additions.log_problem(self.config(CLIENT))
        if self.log_problem:
            environment.notes.append(f"{self.log_problem}; tests that need it are skipped")

    def enter(self, case: Case) -> bool:
        """Bring the proxies from the previous test's configuration to this one's; False where nothing had to change."""
        if case is self.case:
            return False
        self.case = None
        self.folder = case.folder
        self.entered = time.monotonic()
        previous, self._applied = self._applied, []
        documents = self.first_manifests(load(case.manifests))
        environment = self.context.environment
        fixtures = environment.needed(case.fixtures, case.requires)
        if documents or fixtures:
            self.ensure_environment()
        with self.context.timer.phase("environment"):
            environment.activate(fixtures)
        self.documents = self._rendered(documents)
        try:
            self._apply(self.documents)
        finally:
            # Resources of both tests were overwritten in place; only the rest has to go.
            self._delete([resource for resource in previous if resource not in self._applied])
        environment.forget_case_workloads()
        self._await_workloads(documents)
        self._sync_after([*previous, *self._applied])
        # A NetworkPolicy of the test before is still enforced for a while; names of other kinds are a test's own.
        lingering = any(resource.kind == "NetworkPolicy" for resource in previous)
        self.changed_only_proxies = not lingering and all(map(_takes_effect_in_proxies, self._applied))
        self.changed_only_istiod = not lingering and all(map(_is_of_istiod, self._applied))
        self.case = case
        return True

    def add(self, manifest: Path) -> None:
        """Apply one more manifest in the course of a test, and wait for the proxies; the next test starts afresh."""
        self.case = None
        self.ensure_environment()
        documents = self.later_manifests(load([manifest]))
        rendered = self._rendered(documents)
        self.documents += rendered
        self._apply(rendered)
        self._await_workloads(documents)
        self._sync_after([resource_of(document) for document in rendered])

    def remove(self, manifest: Path) -> None:
        """Delete the resources of a manifest in the course of a test, and wait for the proxies."""
        self.case = None
        rendered = self._rendered(self.later_manifests(load([manifest])))
        resources = [resource_of(document) for document in rendered]
        self._delete(resources)
        self._applied = [resource for resource in self._applied if resource not in resources]
        self.documents = [document for document in self.documents if document not in rendered]
        self._sync_after(resources)

    def _rendered(self, documents: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        return [self._applier.rendered(document, CASE_NAMESPACE) for document in documents]

    def _apply(self, rendered: Sequence[dict[str, Any]]) -> None:
        with self.context.timer.phase("apply"):
            self._objects_elsewhere.claim(map(resource_of, rendered))
            for document in rendered:  # those before a rejected one are applied, and have to go again
                self._applied.append(self._applier.send(document))

    def _delete(self, resources: Sequence[Resource]) -> None:
        with self.context.timer.phase("delete"):
            self._applier.remove(resources)

    def _await_workloads(self, documents: Sequence[dict[str, Any]]) -> None:
        """Wait for the pods of a test's own workloads, which are clients while the test lasts."""
        environment = self.context.environment
        environment.register_workloads(documents)
        with self.context.timer.phase("pods"):
            for client in environment.clients:
                environment.pod(client)

    def _sync_after(self, changed: Sequence[Resource]) -> None:
        """Wait until the proxies have what was applied and deleted.

        istiod reads Services, Endpoints and Secrets in another way than markers, which may overtake them. A second
        marker, applied once the first has arrived, comes after them.
        """
        self._rounds = 1 if all(map(_takes_effect_in_proxies, changed)) else 2
        self._workload_sync.begin(changed, self._proxy_sync, rounds=self._rounds)
        self.sync_again()

    def sync_again(self) -> None:
        """Wait until the proxies have what the current test changed, as far as istiod knows it by now."""
        for _ in range(self._rounds):
            self.sync()

    def sync_mesh_gateways(self) -> bool:
        """Wait until the mesh's own egress gateways have what the current test changed; False where nothing shows it.

        Only failures are worth it: it changes the configuration of gateways that others use.
        """
        gateways = self.context.access_logs.gateways()
        if not gateways:
            return False
        self._claim_markers([exported_marker(self.context.names.namespace(CASE_NAMESPACE))])
        with self.context.timer.phase("sync"):
            try:
                for _ in range(self._rounds):
                    self._with_current_pods(lambda: self._gateway_sync.wait((), gateways))
            except (RefusedError, ProxyNotSyncedError):
                return False
        return True

    def sync_workloads(self, workloads: Iterable[str]) -> bool:
        """Wait until the proxies of users' own workloads have what the test changed; False where nothing can show it.

        A workload without a pod is left to the probe, whose error it is.
        """
        names = sorted(set(workloads))
        with self.context.timer.phase("sync"):
            try:
                return self._with_current_pods(lambda: self._workload_sync.wait(self._pods_of(names)))
            except RefusedError:  # the cluster takes no EnvoyFilter there
                return False

    def sync_workloads_again(self, workloads: Iterable[str]) -> bool:
        """Wait for another marker in the proxies of users' own workloads."""
        self._workload_sync.forget()
        return self.sync_workloads(workloads)

    def _claim_markers(self, markers: Sequence[Resource]) -> None:
        """Have markers in users' namespaces deleted with what the test applied."""
        self._objects_elsewhere.claim(markers)
        self._applied += [marker for marker in markers if marker not in self._applied]

    def _pods_of(self, workloads: Iterable[str]) -> list[Pod]:
        pods = []
        for workload in workloads:
            with suppress(ClusterError, InvalidTestError):
                pods.append(self.pod(workload))
        return pods

    def sync(self) -> None:
        """Wait until the proxies of the clients, and of the run's own gateway, have everything that istiod has now."""
        self.syncs += 1
        with self.context.timer.phase("sync"):
            self._with_current_pods(lambda: self._proxy_sync.wait(self._injected_clients(), self._own_gateways()))
            if ambient := self._ambient_clients():
                waypoints = self.context.environment.waypoints
                self._with_current_pods(lambda: self._waypoint_sync.wait((), waypoints))
                self._with_current_pods(lambda: self._ztunnel_sync.wait(ambient))

    @cached_property
    def _gateway_sync(self) -> ProxySync:
        names, within = self.context.names, min(self.context.timeouts.settle, _GATEWAY_MARKER)
        markers = ExportedMarkers(names.worker, [names.namespace_of(GATEWAY)])
        return ProxySync(self.context.api, self._applier, within, markers)

    @cached_property
    def _waypoint_sync(self) -> ProxySync:
        return ProxySync(self.context.api, self._applier, self.context.timeouts.settle, WaypointMarkers())

    @cached_property
    def _ztunnel_sync(self) -> ZtunnelSync:
        return ZtunnelSync(self.context.api, self._applier, self.context.timeouts.settle)

    def _with_current_pods(self, wait: Callable[[], Waited]) -> Waited:
        try:
            return wait()
        except GoneError:
            self.context.environment.forget()  # a client's pod was replaced: wait for the new one's proxy
            return wait()

    def _injected_clients(self) -> list[Pod]:
        environment = self.context.environment
        return [pod for pod in map(environment.pod, environment.clients) if pod.injected]

    def _ambient_clients(self) -> list[Pod]:
        environment = self.context.environment
        return [pod for pod in map(environment.pod, environment.clients) if pod.ambient]

    def _own_gateways(self) -> list[Pod]:
        environment = self.context.environment
        return [environment.pod(gateway) for gateway in environment.own_gateways]

    def follow_mesh(self, arrived: Callable[[ProxyConfig], bool], *, expected: bool) -> None:
        """Wait until `arrived` is as expected for every client's proxy; ClusterError after `timeouts.mesh`.

        istiod may read the mesh configuration from a mounted file, which the kubelet renews once a minute.
        """
        names, within = self.context.names, self.context.timeouts.mesh
        deadline = time.monotonic() + within
        environment = self.context.environment
        clients = [client for client in environment.clients if environment.pod(client).injected]
        while True:
            self.sync()
            if all(arrived(self.config(client)) is expected for client in clients):
                return
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the proxies did not get the changed mesh configuration within {within:g} s: check that istiod "
                    f"reads the ConfigMap {names.mesh.config_map} in {names.mesh.control_plane}"
                )
            threading.Event().wait(0.5)

    def leave(self) -> None:
        """Delete the resources of the last test."""
        self._delete(self._applied)
        self._applied = []
        self.case = None

    def rejection(self, manifest: Path) -> str | None:
        """Return the API server's answer to a dry run; None where it accepts.

        The manifest gets the labels with which the istiod under test checks it; the webhook of a revision checks no
        others. Where no webhook checks it, it is sent as it is.
        """
        self.ensure_environment()
        documents = self.later_manifests(load([manifest]))
        try:
            self._applier.dry_run(documents, CASE_NAMESPACE, self._validated_labels)
        except RefusedError as error:
            return str(error)
        return None

    @cached_property
    def _validated_labels(self) -> dict[str, str]:
        """The labels with which the istiod under test checks a manifest; empty where no webhook checks it."""
        try:
            return validated_labels(self.context.api, self.context.names.mesh.revision)
        except NotValidatedError:
            return {}

    def config(self, client: str) -> ProxyConfig:
        """Return the configuration of a client's proxy; it is read at each call of its methods."""
        return ProxyConfig(self.context.api, self.pod(client))

    def pod(self, client: str) -> Pod:
        """Return the ready pod of a client: `<app label>.<namespace>`, or a user's own workload."""
        if not is_workload(client):
            self.ensure_environment()
        return self.context.environment.pod(client)

    def gateway_config(self) -> ProxyConfig:
        """Return the configuration of the egress gateway's first pod: all its pods have the same."""
        logs = self.context.access_logs
        if changed_pods(self.context.api, logs.gateways()):
            logs.forget()  # it was restarted
        pods = logs.gateways()
        if not pods:
            raise ClusterError("the mesh has no ready egress gateway whose configuration could be read")
        return ProxyConfig(self.context.api, pods[0])

    def read(self, api_version: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """Read a resource by the manifests' names; None where it does not exist."""
        resource = self.context.api.resource(api_version, kind)
        try:
            content: dict[str, Any] = resource.get(
                name=name, namespace=self.context.names.namespace(namespace)
            ).to_dict()
        except ApiException as error:
            if error.status == 404:
                return None
            raise ClusterError(f"cannot read {kind} {name}: {reason(error)}") from error
        return content


def _takes_effect_in_proxies(resource: Resource) -> bool:
    """Whether nothing but proxies has to act on a resource; a workload's pods are waited for until they are ready."""
    return resource.api_version.partition("/")[0] in _DECIDED_BY_PROXIES or resource.kind == "Deployment"


def _is_of_istiod(resource: Resource) -> bool:
    """Whether istiod tells proxies of a resource, as of those that take effect in proxies alone."""
    of_gateway_api = resource.api_version.startswith("gateway.networking.k8s.io/")
    return _takes_effect_in_proxies(resource) or resource.kind in _OF_ISTIOD or of_gateway_api
