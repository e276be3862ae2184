"""A pytest plugin for field_reports.py: brings the cluster into the state of a report before its rule is tested."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from analysis import analyze
from mistakes import BROKEN, STATES, Change, Report, load

if TYPE_CHECKING:  # a plugin named by -p is loaded before the suite's own
    from pytest_istio_egress.cluster.api import Api
    from pytest_istio_egress.cluster.names import Names
    from pytest_istio_egress.cluster.pods import Pod
    from pytest_istio_egress.model.case import Case
    from pytest_istio_egress.pipeline.runner import CaseRunner

STATE = "FIELD_REPORTS"
"""The environment variable with the state, `broken` or `mended`."""
CONVERGE = 0.0
"""The cluster is in its state before a rule is tested: a failure is not retried."""
CLIENT = "deployment/payments.payments"
_VERSION = "networking.istio.io/v1"
"""Of the kinds that a mend deletes."""


@pytest.hookimpl(optionalhook=True)
def pytest_istio_egress_runner(runner: CaseRunner) -> None:
    """Change the cluster before each rule."""
    runner.converge = CONVERGE
    runner.entering = FieldMesh(runner).entering


class FieldMesh:
    """Applies what a report needs, and takes it away before the next one."""

    def __init__(self, runner: CaseRunner) -> None:
        self._runner = runner
        self._reports = {report.id: report for report in load()}
        # An earlier session leaves what its last report applied, and annotations.
        self._applied = _documents(self._reports.values())
        self._annotated = True
        self._mesh_text: str | None = None
        self._markers = 0

    @contextmanager
    def entering(self, case: Case) -> Iterator[None]:
        """Bring the cluster into the state of the report that the case's source names."""
        self._reset()
        report = self._reports.get(case.page.rpartition("#")[2])
        if report is not None:
            self._enter(report, os.environ[STATE])
        yield

    def _enter(self, report: Report, state: str) -> None:
        for change in report.changes(state):
            self._change(change)
        if any(map(_is_policy_of_gateway, self._applied)):
            self._annotate({_REPLACED: f"{report.id}-{state}"})
        self._sync()
        if state == BROKEN:
            analyze(report)
        for change in report.changes(state)[-1:]:
            if change.secret.get("namespace") == "istio-system":
                self._await_secret(change.secret["name"])
            for url in change.requests:
                self._request(url)

    def _change(self, change: Change) -> None:
        for document in change.documents:
            self._apply(document)
            self._applied.append(document)
        for name in change.remove:
            kind, _, each = name.partition("/")
            metadata = {"name": each, "namespace": "payments"}
            self._delete({"apiVersion": _VERSION, "kind": kind, "metadata": metadata})
        if change.secret:
            from certificates import secret  # beside this plugin

            document = secret(**change.secret)
            self._apply(document)
            self._applied.append(document)
        if change.mesh:
            self._change_mesh(change.mesh)
        if change.annotations is not None:
            self._annotate(change.annotations)

    def _reset(self) -> None:
        for document in reversed(self._applied):
            if (document["kind"], document["metadata"]["name"]) != ("Sidecar", "default"):
                self._delete(document)
        self._applied = []
        self._apply(_SIDECAR)
        if self._annotated:
            self._annotate({})
        if self._mesh_text is not None:
            self._write_mesh(self._mesh_text)
            self._mesh_text = None

    @property
    def names(self) -> Names:
        """The run's names: what ProxySync asks of an applier, too."""
        return self._runner.context.names

    @property
    def _api(self) -> Api:
        return self._runner.context.api

    def _apply(self, document: dict[str, Any]) -> None:
        resource = self._api.resource(document["apiVersion"], document["kind"])
        resource.server_side_apply(
            body=document,
            name=document["metadata"]["name"],
            namespace=document["metadata"].get("namespace"),
            field_manager="field-reports",
            force_conflicts=True,
        )

    def _delete(self, document: dict[str, Any]) -> None:
        from kubernetes.client.exceptions import ApiException

        metadata = document["metadata"]
        try:
            self._api.resource(document["apiVersion"], document["kind"]).delete(
                name=metadata["name"], namespace=metadata.get("namespace")
            )
        except ApiException as error:
            if error.status != 404:
                raise

    def _annotate(self, annotations: dict[str, str] | Any) -> None:
        """Replace the annotations of the client's pod template, and wait for its new pod."""
        from kubernetes import client

        from pytest_istio_egress.cluster.poll import poll

        apps = client.AppsV1Api(self._api.client)
        template = {"metadata": {"annotations": {**dict.fromkeys(_ANNOTATIONS), **annotations}}}
        apps.patch_namespaced_deployment("payments", "payments", {"spec": {"template": template}})

        def rolled_out() -> bool:
            deployment = apps.read_namespaced_deployment("payments", "payments")
            pods = self._api.core.list_namespaced_pod("payments").items
            return bool(
                deployment.status.observed_generation == deployment.metadata.generation
                and deployment.status.updated_replicas == deployment.status.ready_replicas == 1
                and len(pods) == 1
            )

        if not poll(rolled_out, every=0.5, timeout=300):
            raise RuntimeError("the Deployment payments was not rolled out in time")
        self._annotated = bool(annotations)
        self._runner.context.environment.forget()

    def _change_mesh(self, changes: Any) -> None:
        import yaml

        stored = self._api.core.read_namespaced_config_map("istio", "istio-system")
        if self._mesh_text is None:
            self._mesh_text = stored.data["mesh"]
        self._write_mesh(yaml.safe_dump({**yaml.safe_load(stored.data["mesh"]), **changes}))

    def _write_mesh(self, text: str) -> None:
        self._api.core.patch_namespaced_config_map("istio", "istio-system", {"data": {"mesh": text}})
        self._runner.accept_mesh_change()

    def _request(self, url: str) -> None:
        from pytest_istio_egress.cluster.commands import run

        host, address = url.split("/")[2], "10.96.200.80"
        run(self._api, self._client(), ["curl", "-s", "-o", "/dev/null", "--resolve", f"{host}:80:{address}", url])

    def _await_secret(self, name: str) -> None:
        """Wait until the gateway has the authority that the Secret has now."""
        from pytest_istio_egress.cluster.poll import poll
        from pytest_istio_egress.cluster.proxy_config import ProxyConfig

        gateway = self._runner.context.access_logs.gateways()[0]
        authority = self._api.core.read_namespaced_secret(name, "istio-system").data["ca.crt"]
        config = ProxyConfig(self._api, gateway)
        path = "/config_dump?resource=dynamic_active_secrets"
        if not poll(lambda: authority in config.text(path), every=0.2, timeout=30):
            raise RuntimeError(f"the gateway did not get the Secret {name} in time")

    def _client(self) -> Pod:
        return self._runner.context.environment.pod(CLIENT)

    def _sync(self) -> None:
        """Wait until the proxies of the client and of the gateway have what was applied."""
        from pytest_istio_egress.cluster.envoy_filter_markers import EnvoyFilterMarkers
        from pytest_istio_egress.cluster.proxy_sync import ProxySync

        sync = ProxySync(self._api, self, 30.0, EnvoyFilterMarkers())  # type: ignore[arg-type]  # it only applies the marker
        sync.number = self._markers
        try:
            sync.wait([self._client()], self._runner.context.access_logs.gateways())
        finally:
            self._markers = sync.number

    def apply(self, documents: Sequence[dict[str, Any]], namespace: str) -> list[Any]:
        """Apply a marker: what ProxySync asks of an applier. In the root namespace it is for the gateway alone."""
        for document in documents:
            spec = dict(document["spec"])
            if namespace == "istio-system":
                spec["workloadSelector"] = {"labels": {"istio": "egressgateway"}}
            metadata = {**document["metadata"], "namespace": namespace}
            self._apply({**document, "metadata": metadata, "spec": spec})
        return []


def _documents(reports: Iterable[Report]) -> list[dict[str, Any]]:
    """Return what reports apply, each object once."""
    found = {
        (each["kind"], each["metadata"].get("namespace"), each["metadata"]["name"]): each
        for report in reports
        for state in STATES
        for change in report.changes(state)
        for each in change.documents
    }
    return list(found.values())


def _is_policy_of_gateway(document: dict[str, Any]) -> bool:
    """Whether a document is a policy for the gateway: it applies to new connections, and sidecars keep theirs open."""
    return (document["kind"], document["metadata"].get("namespace")) == ("AuthorizationPolicy", "istio-system")


_REPLACED = "field-reports/replaced"
"""The annotation whose value replaces payments' pod."""
_ANNOTATIONS = (
    "traffic.sidecar.istio.io/excludeOutboundIPRanges",
    "traffic.sidecar.istio.io/includeOutboundIPRanges",
    "proxy.istio.io/config",
    _REPLACED,
)
_SIDECAR: dict[str, Any] = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Sidecar",
    "metadata": {"name": "default", "namespace": "payments"},
    "spec": {
        "outboundTrafficPolicy": {"mode": "REGISTRY_ONLY"},
        "egress": [{"hosts": ["./*", "istio-system/*"]}],
    },
}
