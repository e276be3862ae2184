"""The clients and the external server of steady traffic: created, found again by another process, deleted."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.ambient_features import waypoints
from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.certificates import Authority
from pytest_istio_egress.cluster.credentials import kubernetes_secret
from pytest_istio_egress.cluster.facts.table import FactOverrides
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.poll import poll
from pytest_istio_egress.cluster.readiness import ready_pod
from pytest_istio_egress.cluster.run_lease import namespaces_of_run, remove, renew_lease
from pytest_istio_egress.cluster.run_secrets import config_map, copy_pull_secrets
from pytest_istio_egress.cluster.user_ids import with_user_ids
from pytest_istio_egress.model.case import AMBIENT_PLANE, BOTH_PLANES, SIDECAR_PLANE
from pytest_istio_egress.model.mesh_facts import MESH_GATEWAY
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.model.probe import OUTSIDE
from pytest_istio_egress.traffic.kinds import AMBIENT_CLIENT, GATEWAY_CLIENT, KINDS, SIDECAR_CLIENT, TrafficClient
from pytest_istio_egress.traffic.losses import losses
from pytest_istio_egress.traffic.observations import SILENT, NoRecordError, Record, read

LIFETIME = 86_400
"""Seconds after which the clients stop (LASTS of their manifests), and the lease expires."""
SINCE = "istio-egress.dev/traffic-since"
"""Annotation of the server's namespace: the time from which losses count (Unix seconds of the recorder's clock)."""
POLL_INTERVAL = 0.5
"""Seconds between two reads of the record."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
_SERVER = "egress-outside"


class NotStartedError(ClusterError):
    """There is no steady traffic of this name."""


class Traffic:
    """Steady traffic with one name; traffic with other names is independent of it."""

    def __init__(self, api: Api, name: str, manifests: Path, *, timeout: float = 120.0) -> None:
        if not _NAME.fullmatch(name):
            raise ClusterError(f"invalid traffic name {name!r}: use up to 20 of a-z, 0-9 and -")
        self.api = api
        self.name = name
        self.manifests = manifests
        self.timeout = timeout
        self.names = Names(name, "traffic")
        self.server = self.names.namespace(_SERVER)

    def start(
        self,
        say: Callable[[str], None],
        revision: str | None = None,
        data_plane: str | None = None,
        placement: Placement = Placement(),  # noqa: B008  # frozen
    ) -> None:
        """Create everything, and wait until every kind has responses; on an error delete everything and raise it.

        `revision` is the control plane that injects the clients, None for the mesh's default; `data_plane` is one of
        model.case.DATA_PLANES, None for the data planes that the mesh has.
        """
        if namespaces_of_run(self.api, self.name):
            raise ClusterError(
                f"traffic {self.name} exists already: `istio-egress traffic report --name {self.name}` reports its "
                f"losses, `istio-egress traffic stop --name {self.name}` stops it"
            )
        mesh = Mesh(self.api, overrides=FactOverrides(revision, MESH_GATEWAY))
        self.names = replace(self.names, mesh=MeshNames.of(mesh.facts), placement=with_user_ids(placement, self.api))
        clients = chosen_clients(mesh, data_plane, say)
        try:
            self._create(clients)
            self._wait_for_responses({kind.name for kind in KINDS if kind.client in clients})
        except BaseException:  # including an interrupt: nothing incomplete stays
            remove(self.api, self.name, say=say)
            raise

    def stop(self, say: Callable[[str], None]) -> list[str]:
        """Delete everything, and return its namespaces; raises NotStartedError where there is nothing."""
        self._started()
        return remove(self.api, self.name, say=say)

    def since(self) -> float:
        """Return the time from which losses count (Unix seconds); raises NotStartedError where there is nothing."""
        return float((self._started().metadata.annotations or {}).get(SINCE, 0))

    def record(self) -> Record:
        """Read the clients' record so far; raises NoRecordError where it is empty."""
        pod = ready_pod(self.api, self.server, "app=traffic-server", timeout=self.timeout)
        try:
            response = self.api.core.read_namespaced_pod_log(
                pod.name, self.server, container="nginx", _preload_content=False, _request_timeout=(5.0, 120.0)
            )
        except ApiException as error:
            raise ClusterError(f"cannot read the record (the log of {pod}): {reason(error)}") from error
        return read(response.data.decode(errors="replace").splitlines())

    def complete_record(self) -> Record:
        """Wait, for a limited time, until the record is complete up to now, and read it."""
        record = self.record()
        now = record.ends

        def is_complete() -> bool:
            nonlocal record
            if record.complete < now:
                record = self.record()
            return record.complete >= now

        poll(is_complete, every=POLL_INTERVAL, timeout=2 * SILENT)
        return record

    def _started(self) -> client.V1Namespace:
        try:
            return self.api.core.read_namespace(self.server)
        except ApiException as error:
            if error.status != 404:
                raise ClusterError(f"cannot read namespace {self.server}: {reason(error)}") from error
            raise NotStartedError(
                f"no traffic {self.name} in this cluster (hint: istio-egress traffic start --name {self.name})"
            ) from None

    def _create(self, clients: Sequence[TrafficClient]) -> None:
        server = load([self.manifests / "server.yaml"])
        sent = load([self.manifests / client.manifest for client in clients])
        namespaces = dict.fromkeys(client.namespace for client in clients)
        applier = Applier(self.api, self.names)
        applier.apply([document for document in (*server, *sent) if document["kind"] == "Namespace"], "")
        # The lease lasts as long as the traffic may, so that no run deletes it as a leftover.
        renew_lease(self.api, self.name, self.server, self.names.placement, seconds=LIFETIME)
        for namespace in (_SERVER, *namespaces):
            copy_pull_secrets(applier, namespace)
        self._certificates(applier, namespaces)
        applier.apply([document for document in server if document["kind"] != "Namespace"], "")
        service = self.api.core.read_namespaced_service("traffic-server", self.server)
        self.names.addresses.update({OUTSIDE: service.spec.cluster_ip})
        ready_pod(self.api, self.server, "app=traffic-server", timeout=self.timeout)
        for namespace in namespaces:
            applier.apply(load([self.manifests / "script.yaml"]), namespace)
        # Rules before clients, so that their proxies start with all of them.
        applier.apply([document for document in sent if document["kind"] not in ("Namespace", "Deployment")], "")
        applier.apply([document for document in sent if document["kind"] == "Deployment"], "")
        for sender in clients:
            namespace = self.names.namespace(sender.namespace)
            ready_pod(self.api, namespace, f"app={sender.name}", timeout=self.timeout)

    def _certificates(self, applier: Applier, namespaces: Iterable[str]) -> None:
        authority = Authority(f"pytest-istio-egress traffic {self.name}", self.api.now())
        signed = authority.sign("outside", [f"*.{self.name}.test"])
        applier.apply([kubernetes_secret("outside-certificate", signed.secret(authority.certificate))], _SERVER)
        public = {"ca.crt": authority.certificate.decode()}
        for namespace in namespaces:
            applier.apply([config_map("egress-certificates", namespace, public)], namespace)

    def _wait_for_responses(self, kinds: set[str]) -> None:
        """Wait until each kind has responses, and store the time in an annotation: losses count from then on."""
        waiting = kinds

        def all_respond() -> bool:
            nonlocal waiting
            try:
                record = self.record()
            except NoRecordError:
                return False
            by_kind = losses(record)
            waiting = kinds - {loss.kind.name for loss in by_kind if all(gap.over for gap in loss.gaps)}
            if not waiting:
                annotations = {SINCE: f"{record.ends:.3f}"}
                self.api.core.patch_namespace(self.server, {"metadata": {"annotations": annotations}})
            return not waiting

        if not poll(all_respond, every=POLL_INTERVAL, timeout=self.timeout):
            raise ClusterError(f"no response within {self.timeout:g} s for {', '.join(sorted(waiting))}{self._why()}")

    def _why(self) -> str:
        try:
            with_losses = [loss for loss in losses(self.record()) if loss.lost]
        except NoRecordError:
            return ": the clients have not recorded anything (are their pods running?)"
        return "".join(f"; {loss.kind.name}: {', '.join(loss.gaps[-1].saw)}" for loss in with_losses)


def chosen_clients(mesh: Mesh, data_plane: str | None, say: Callable[[str], None]) -> list[TrafficClient]:
    """Return the clients of a data plane (None: of those that the mesh has); `say` is told which kinds are missing.

    Raises ClusterError where the ambient data plane is asked for and the mesh has none.
    """
    clients = []
    if data_plane != AMBIENT_PLANE:
        clients.append(SIDECAR_CLIENT)
        if mesh.facts.gateway is not None:
            clients.append(GATEWAY_CLIENT)
        else:
            say("no ready egress gateway found: no traffic through it")
    if data_plane != SIDECAR_PLANE:
        why = waypoints(mesh)
        if why is None:
            clients.append(AMBIENT_CLIENT)
        elif data_plane in (AMBIENT_PLANE, BOTH_PLANES):
            raise ClusterError(f"no traffic of ambient clients: {why}")
    return clients
