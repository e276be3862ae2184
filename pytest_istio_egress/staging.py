"""Apply, settle, clean: brings the mesh from one case's configuration to the next, until the proxies have it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.case import CASE_NAMESPACE, Case
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier, RefusedError, Resource, load
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.pods import GoneError, Pod, changed
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.settle import Settler
from pytest_istio_egress.cluster.witnesses import Witnesses
from pytest_istio_egress.cluster.world import World
from pytest_istio_egress.phases import Phases
from pytest_istio_egress.probe import is_workload
from pytest_istio_egress.timeouts import Timeouts


class Staging:
    """One worker's part of the cluster, and the configuration of the case that is on stage there.

    `case` is None where nothing is, or where the case's own steps have changed what it began with. `settled` counts how
    often the proxies were waited for, `entered` is when the case's configuration began to change (time.monotonic()).
    """

    def __init__(self, api: Api, world: World, witnesses: Witnesses, timeouts: Timeouts, phases: Phases) -> None:
        self.api = api
        self.world = world
        self.witnesses = witnesses
        self.timeouts = timeouts
        self.phases = phases
        self.case: Case | None = None
        self.settled = 0
        self.entered = time.monotonic()
        self.documents: list[dict[str, Any]] = []
        """What the case on stage applied, as it was sent."""
        self._applier = Applier(api, world.names)
        self._settler = Settler(api, self._applier, timeouts.settle)
        self._applied: list[Resource] = []

    @property
    def names(self) -> Names:
        """The run's names."""
        return self.world.names

    def built(self) -> Names:
        """Return the names of the suite's own clients and servers, which are made when this is first asked for.

        A case that is asked from a user's own workload alone needs none of them.
        """
        if not self.world.built:
            with self.phases.phase("world"):
                self.world.build()
            self._applier.names = self.world.names
            for pod in self._injected():
                self.witnesses.follow(pod)
            if self.case is not None:
                self.settle()
        return self.names

    def enter(self, case: Case) -> bool:
        """Apply and settle: bring the proxies from the previous case's configuration to this one's.

        Returns False where they have it already, and nothing had to be done.
        """
        if case is self.case:
            return False
        self.case = None
        self.entered = time.monotonic()
        previous, self._applied = self._applied, []
        documents = load(case.manifests)
        fixtures = self.world.needed(case.fixtures, case.requires)
        if documents or fixtures:
            self.built()
        with self.phases.phase("world"):
            self.world.extend(fixtures)
        self._applier.names = self.world.names
        self.documents = [self._applier.rendered(document, CASE_NAMESPACE) for document in documents]
        try:
            self._apply(documents)
        finally:
            # What both cases have was overwritten in place; only the rest has to go.
            self._remove([resource for resource in previous if resource not in self._applied])
        self.world.forget_guests()
        self._welcome(documents)
        self.settle()
        self.case = case
        return True

    def add(self, manifest: Path) -> None:
        """Apply more in the middle of a case, and settle; the next case starts afresh."""
        self.case = None
        self.built()
        documents = load([manifest])
        self.documents += [self._applier.rendered(document, CASE_NAMESPACE) for document in documents]
        self._apply(documents)
        self._welcome(documents)
        self.settle()

    def take_away(self, manifest: Path) -> None:
        """Remove in the middle of a case what a manifest brought, and settle."""
        self.case = None
        removed = load([manifest])
        gone = self._applier.resources(removed, CASE_NAMESPACE)
        self._remove(gone)
        self._applied = [resource for resource in self._applied if resource not in gone]
        sent = [self._applier.rendered(document, CASE_NAMESPACE) for document in removed]
        self.documents = [document for document in self.documents if document not in sent]
        self.settle()

    def _apply(self, documents: Sequence[dict[str, Any]]) -> None:
        with self.phases.phase("apply"):
            for document in documents:  # one by one: what came before a refused one is in, and has to go again
                self._applied += self._applier.apply([document], CASE_NAMESPACE)

    def _remove(self, resources: Sequence[Resource]) -> None:
        with self.phases.phase("clean"):
            self._applier.remove(resources)

    def _welcome(self, documents: Sequence[dict[str, Any]]) -> None:
        """Wait for the pods that a case brings along, which is no part of settling."""
        self.world.welcome(documents)
        with self.phases.phase("pods"):
            for client in self.world.clients:
                self.world.pod(client)

    def settle(self) -> None:
        """Wait until the proxies of the clients, and of the run's own gateway, have what istiod knows by now."""
        self.settled += 1
        with self.phases.phase("settle"):
            try:
                self._settler.settle(self._injected(), self._gateways())
            except GoneError:
                self.world.forget()  # a client's pod was replaced; its successor's proxy is waited for
                self._settler.settle(self._injected(), self._gateways())

    def _injected(self) -> list[Pod]:
        return [pod for pod in map(self.world.pod, self.world.clients) if pod.injected]

    def _gateways(self) -> list[Pod]:
        return [self.world.pod(gateway) for gateway in self.world.own_gateways]

    def follow_mesh(self, arrived: Callable[[ProxyConfig], bool], *, held: bool) -> None:
        """Wait until the clients' proxies follow the mesh configuration: istiod may read it from a mounted file."""
        deadline = time.monotonic() + self.timeouts.mesh
        clients = [client for client in self.world.clients if self.world.pod(client).injected]
        while True:
            self.settle()
            if all(arrived(self.config(client)) is held for client in clients):
                return
            if time.monotonic() > deadline:
                raise ClusterError(
                    f"the proxies did not follow the mesh configuration within {self.timeouts.mesh:g} s: is istiod's "
                    f"configuration the ConfigMap {self.names.mesh.config_map} in {self.names.mesh.control_plane}?"
                )
            threading.Event().wait(0.5)

    def leave(self) -> None:
        """Clean: remove what the last case applied."""
        self._remove(self._applied)
        self._applied = []
        self.case = None

    def refusal(self, manifest: Path) -> str | None:
        """Ask the API (validation webhooks included) for its answer to a manifest; None where it takes it."""
        self.built()
        try:
            self._applier.dry_run(load([manifest]), CASE_NAMESPACE)
        except RefusedError as error:
            return str(error)
        return None

    def config(self, client: str) -> ProxyConfig:
        """Return the configuration of a client's proxy, as it is when it is asked for."""
        return ProxyConfig(self.api, self.pod(client))

    def pod(self, client: str) -> Pod:
        """Return the ready pod of a client: `<app label>.<namespace>`, or a user's own workload."""
        if not is_workload(client):
            self.built()
        return self.world.pod(client)

    def gateway_config(self) -> ProxyConfig:
        """Return the configuration of the egress gateway: of its first pod, for all have the same."""
        if changed(self.api, self.witnesses.gateways()):
            self.witnesses.forget()  # it was restarted
        pods = self.witnesses.gateways()
        if not pods:
            raise ClusterError("the mesh has no ready egress gateway whose configuration could be read")
        return ProxyConfig(self.api, pods[0])

    def read(self, api_version: str, kind: str, name: str, namespace: str) -> dict[str, Any] | None:
        """Read a resource, None where there is none; names are those of the manifests."""
        try:
            found = self.api.resource(api_version, kind).get(name=name, namespace=self.names.namespace(namespace))
        except ApiException as error:
            if error.status == 404:
                return None
            raise ClusterError(f"{kind} {name} can't be read: {reason(error)}") from error
        resource: dict[str, Any] = found.to_dict()
        return resource
