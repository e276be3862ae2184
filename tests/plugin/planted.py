"""Evidence of a failure with secrets all around it: collected by the real code, from a stubbed cluster."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pytest_istio_egress.cluster import admin
from pytest_istio_egress.cluster.exec_connection import CommandResult
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.model.probe import CurlResult, get
from pytest_istio_egress.pipeline.evidence_files import collect_evidence
from pytest_istio_egress.verdict.verdict import Exchange, Verdict

KEY = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0\nq83vEjRWeJ+Secret\n-----END PRIVATE KEY-----"
TOKEN = "s3cr3tAbc123xyz789"
PLANTED = "pl4nted"
"""Matches no rule of text: only its place shows that it is a secret."""
SECRETS = ("MIIEvQIBADANBgkqhkiG9w0", "q83vEjRWeJ", TOKEN, base64.b64encode(KEY.encode()).decode()[:60], PLANTED)

POD = Pod("egress-client", "sleep-1", "uid", "10.0.0.1", injected=True, container="curl")
APPLIED = [
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"x": PLANTED}, "stringData": {"y": KEY}},
    {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "annotations": {"example.com/db-password": PLANTED}},
        "spec": {"template": {"spec": {"containers": [{"env": [{"name": "HARMLESS", "value": PLANTED}]}]}}},
    },
    {"apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": {"name": "api"},
     "spec": {"hosts": ["api.test"]}},
]  # fmt: skip
PODS = {
    "items": [
        {
            "metadata": {
                "name": "sleep-1",
                "namespace": "egress-client",
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": PLANTED,
                    "proxy.istio.io/config": f"proxyMetadata: {{API_TOKEN: {TOKEN}}}",
                },
            },
            "spec": {"containers": [{"name": "c", "image": "i", "env": [{"name": "X", "value": PLANTED}]}]},
            "status": {"phase": "Running", "message": f"password={TOKEN}"},
        }
    ]
}
EVENTS = {
    "items": [
        {
            "metadata": {"creationTimestamp": "2026-11-21T11:55:08Z"},
            "involvedObject": {"kind": "Pod", "name": "sleep-1", "namespace": "egress-client"},
            "message": f"Authorization: Bearer {TOKEN}",
        }
    ]
}
CLUSTER = {
    "name": "outbound|80||api.test",
    "transport_socket": {
        "typed_config": {
            "common_tls_context": {
                "tls_certificates": [{"private_key": {"inline_bytes": PLANTED}, "password": {"inline_string": PLANTED}}]
            }
        }
    },
}
ROUTE = {
    "name": "80",
    "virtual_hosts": [
        {
            "name": "api",
            "domains": ["api.test"],
            "request_headers_to_add": [{"header": {"key": "x-api-key", "value": PLANTED}}],
        }
    ],
}
DUMPS = {
    "dynamic_active_clusters": [{"cluster": CLUSTER}],
    "dynamic_listeners": [],
    "dynamic_route_configs": [{"route_config": ROUTE}],
}
VERDICT = Verdict(
    probe=get("http://api.test/"),
    expected=Outcome(status=502),
    exchange=Exchange(
        probe=get("http://api.test/"),
        command=("curl", "http://api.test/"),
        kubectl_command=f"kubectl exec sleep-1 -- curl -H 'Authorization: Bearer {TOKEN}' http://api.test/",
        curl=CurlResult(
            exit=0, status=200, error="", seconds=0.1, local_address="10.0.0.1", local_port=1, remote_address="",
            http_version="1.1", headers={"set-cookie": PLANTED},
            body=json.dumps({"headers": {"Authorization": [TOKEN]}}),
        ),
        sidecar=None, gateway=None, addresses={}, began=0.0,
    ),
    differences=(
        Difference("client", "HTTP status", "502", "200"),
        Difference("external server", "request header authorization", "none", PLANTED),
    ),
    attempts=2,
)  # fmt: skip
CASE = Case(page="x", summary="y", folder=Path(), manifests=(), requires=(), outcomes=())


class Core:
    """The part of the API that is called."""

    def list_namespaced_pod(self, namespace: str, **_: object) -> object:
        return PODS if namespace == "egress-client" else {"items": []}

    def list_namespaced_event(self, namespace: str) -> object:
        return EVENTS if namespace == "egress-client" else {"items": []}

    def read_namespaced_pod_log(self, *_: object, **__: object) -> str:
        return f"a line, and a key\n{KEY}\n"

    def read_namespaced_config_map(self, *_: object) -> object:
        raise OSError("the API is down")


def run(_: object, __: object, command: list[str], **___: object) -> CommandResult:
    resource = command[-1].rpartition("=")[2]
    dumped = json.dumps({"configs": DUMPS[resource]}) if "config_dump" in command[-1] else ""
    return CommandResult(dumped, "", 0)


def context() -> Any:
    """Return the parts of a WorkerContext that the collection of evidence uses."""
    return SimpleNamespace(
        api=SimpleNamespace(core=Core(), client=SimpleNamespace(sanitize_for_serialization=lambda value: value)),
        names=SimpleNamespace(
            run="k3x9qb",
            render=str,
            namespace=str,
            mesh=SimpleNamespace(control_plane="istio-system", config_map="istio"),
        ),
        environment=SimpleNamespace(
            built=True, pod_lookup=SimpleNamespace(cached=lambda: {"sleep.egress-client": POD})
        ),
        access_logs=SimpleNamespace(gateways=list),
        timeouts=SimpleNamespace(evidence=20.0),
    )


def collected() -> dict[str, str]:
    """Collect the evidence files."""
    case_setup: Any = SimpleNamespace(documents=APPLIED, entered=0.0)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(admin, "run", run)
        return collect_evidence(context(), case_setup, CASE, VERDICT)
