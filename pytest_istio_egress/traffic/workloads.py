"""The clients and the far end of steady traffic in a cluster: made, found again by another process, removed."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier, load
from pytest_istio_egress.cluster.certificates import Authority
from pytest_istio_egress.cluster.credentials import kubernetes_secret
from pytest_istio_egress.cluster.facts.table import FactOverrides
from pytest_istio_egress.cluster.mesh import Mesh
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.run_secrets import copy_pull_secrets
from pytest_istio_egress.cluster.readiness import ready_pod
from pytest_istio_egress.cluster.run_lease import renew_lease, namespaces_of_run, remove
from pytest_istio_egress.model.placement import Placement
from pytest_istio_egress.traffic.kinds import KINDS
from pytest_istio_egress.traffic.losses import losses
from pytest_istio_egress.traffic.observations import SILENT, NoRecordError, Record, read

LASTS = 86_400
"""Seconds after which the clients stop by themselves (LASTS in fixtures/traffic/); the lease holds as long."""
SINCE = "istio-egress.dev/traffic-since"
"""Annotation of the server's namespace: from when on losses count (Unix seconds by the record's clock)."""
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,18}[a-z0-9])?")
_SERVER, _CLIENT = "egress-outside", "egress-client"
_ADDRESS = "192.0.2.80"


class NotStartedError(ClusterError):
    """There is no steady traffic of that name."""


class Traffic:
    """Steady traffic under one name; two names never meet."""

    def __init__(self, api: Api, name: str, manifests: Path, *, timeout: float = 120.0) -> None:
        if not _NAME.fullmatch(name):
            raise ClusterError(f"{name!r} can't stand in a namespace's name: use up to 20 of a-z, 0-9 and -")
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
        placement: Placement = Placement(),  # noqa: B008  # frozen
    ) -> None:
        """Make everything, and return once every kind gets through; ClusterError, and nothing left, if one does not.

        `revision` is the control plane's whose proxies the clients get; None: the mesh's default. `placement` says
        what its pods differ in from the plain manifests.
        """
        if namespaces_of_run(self.api, self.name):
            raise ClusterError(
                f"traffic {self.name} is there already: `istio-egress traffic report --name {self.name}` tells of it, "
                f"`istio-egress traffic stop --name {self.name}` ends it"
            )
        mesh = Mesh(self.api, given=FactOverrides(revision))
        self.names = replace(self.names, mesh=MeshNames.of(mesh.facts), placement=placement)
        through_gateway = mesh.gateway is not None
        if not through_gateway:
            say("the mesh has no egress gateway that is ready: its kinds of traffic are left out")
        try:
            self._make([*load([self.manifests / "client.yaml"])], through_gateway=through_gateway)
            self._await_answers({kind.name for kind in KINDS if through_gateway or not kind.gateway})
        except BaseException:  # whatever it is, an interrupt included: nothing half-made stays, and it goes on its way
            remove(self.api, self.name, say=say)
            raise

    def stop(self, say: Callable[[str], None]) -> list[str]:
        """Remove everything, and return its namespaces; raises NotStartedError where there is nothing."""
        self._started()
        return remove(self.api, self.name, say=say)

    def since(self) -> float:
        """Return from when on losses count (Unix seconds); raises NotStartedError where there is nothing."""
        return float((self._started().metadata.annotations or {}).get(SINCE, 0))

    def record(self) -> Record:
        """Read what the clients sent so far; raises NoRecordError where that is nothing."""
        pod = ready_pod(self.api, self.server, "app=traffic-server", timeout=self.timeout)
        try:
            answer = self.api.core.read_namespaced_pod_log(
                pod.name, self.server, container="nginx", _preload_content=False, _request_timeout=(5.0, 120.0)
            )
        except ApiException as error:
            raise ClusterError(f"the record (the log of {pod}) can't be read: {reason(error)}") from error
        return read(answer.data.decode(errors="replace").splitlines())

    def complete_record(self) -> Record:
        """Wait until all that the clients saw up to now has come, and read it; not for ever, should one be stuck."""
        record = self.record()
        now, deadline = record.ends, time.monotonic() + 2 * SILENT
        while record.complete < now and time.monotonic() < deadline:
            threading.Event().wait(0.5)  # between two looks at the record
            record = self.record()
        return record

    def _started(self) -> client.V1Namespace:
        try:
            return self.api.core.read_namespace(self.server)
        except ApiException as error:
            if error.status != 404:
                raise ClusterError(f"the namespace {self.server} can't be read: {reason(error)}") from error
            raise NotStartedError(
                f"no traffic {self.name} was started in this cluster: `istio-egress traffic start --name {self.name}`"
            ) from None

    def _make(self, clients: Sequence[dict[str, Any]], *, through_gateway: bool) -> None:
        documents = [*load([self.manifests / "server.yaml"]), *clients]
        if through_gateway:
            documents += load([self.manifests / "gateway.yaml"])
        applier = Applier(self.api, self.names)
        applier.apply([document for document in documents if document["kind"] == "Namespace"], "")
        self._live()
        for namespace in (_SERVER, _CLIENT):
            copy_pull_secrets(applier, namespace)
        self._certificates(applier)
        servers = [document for document in documents if document["metadata"].get("namespace") == _SERVER]
        applier.apply(servers, "")
        service = self.api.core.read_namespaced_service("traffic-server", self.server)
        applier.names = self.names = replace(self.names, addresses={_ADDRESS: service.spec.cluster_ip})
        ready_pod(self.api, self.server, "app=traffic-server", timeout=self.timeout)
        # Rules before the clients they rule: a proxy starts with all of them.
        others = [document for document in documents if document["metadata"].get("namespace") == _CLIENT]
        workloads = [document for document in others if document["kind"] == "Deployment"]
        applier.apply([document for document in others if document["kind"] != "Deployment"], "")
        applier.apply(workloads, "")
        for workload in workloads:
            ready_pod(
                self.api, self.names.namespace(_CLIENT), f"app={workload['metadata']['name']}", timeout=self.timeout
            )

    def _live(self) -> None:
        """Hold a lease for as long as the traffic may last: what ends runs' leftover_runs shall leave it alone."""
        renew_lease(self.api, self.name, self.server, seconds=LASTS)

    def _certificates(self, applier: Applier) -> None:
        authority = Authority(f"pytest-istio-egress traffic {self.name}", self.api.now())
        signed = authority.sign("outside", [f"*.{self.name}.test"])
        applier.apply([kubernetes_secret("outside-certificate", signed.secret(authority.certificate))], _SERVER)
        public = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "egress-certificates"},
            "data": {"ca.crt": authority.certificate.decode()},
        }
        applier.apply([public], _CLIENT)

    def _await_answers(self, kinds: set[str]) -> None:
        """Wait until each kind was answered, and note the moment: what failed before was the start's own."""
        deadline = time.monotonic() + self.timeout
        waiting = kinds
        while time.monotonic() < deadline:
            try:
                record = self.record()
            except NoRecordError:
                record = None
            if record:
                answered = {
                    loss.kind.name for loss in losses(record) if not loss.gaps or all(g.over for g in loss.gaps)
                }
                waiting = kinds - answered
                if not waiting:
                    self.api.core.patch_namespace(
                        self.server, {"metadata": {"annotations": {SINCE: f"{record.ends:.3f}"}}}
                    )
                    return
            threading.Event().wait(0.5)  # between two questions to the API, not in place of one
        raise ClusterError(f"within {self.timeout:g} s no answer came for {', '.join(sorted(waiting))}{self._why()}")

    def _why(self) -> str:
        try:
            found = [loss for loss in losses(self.record()) if loss.lost]
        except NoRecordError:
            return ": the clients have sent nothing to the record (do their pods run?)"
        return "".join(f"; {loss.kind.name}: {', '.join(loss.gaps[-1].saw)}" for loss in found)
