"""Restrictions of strict clusters, in the form of faults: faults.py runs the tests with each.

A thread stands in for a policy engine: it adds a resource or a label to every new namespace of the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import yaml
from injected import Fault, Stage
from kubernetes import client, utils
from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cli.rights import NAME
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.apply import RUN_LABEL

ENFORCE = "pod-security.kubernetes.io/enforce"
RIGHTS = Path(__file__).parents[2] / "docs" / "rights.yaml"
DENY = {
    "apiVersion": "networking.k8s.io/v1",
    "kind": "NetworkPolicy",
    "metadata": {"name": "default-deny"},
    "spec": {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]},
}
QUOTA = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "quota"},
    "spec": {
        "hard": {"requests.cpu": "20", "requests.memory": "40Gi", "limits.cpu": "200", "limits.memory": "200Gi"},
    },
}
_ADMISSION, _RESTRICTS, _NAME = "admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy", "restricted"
_POLICY = {
    "matchConstraints": {
        "resourceRules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["namespaces"]}
        ]
    },
    "matchConditions": [
        {"name": "run", "expression": f"has(object.metadata.labels) && '{RUN_LABEL}' in object.metadata.labels"},
        {"name": "no-level", "expression": f"!('{ENFORCE}' in object.metadata.labels)"},
    ],
    "reinvocationPolicy": "Never",
    "mutations": [
        {
            "patchType": "JSONPatch",
            "jsonPatch": {
                "expression": "[JSONPatch{op: 'add', path: '/metadata/labels/' + "
                f"jsonpatch.escapeKey('{ENFORCE}'), value: 'restricted'}}]"
            },
        }
    ],
}
"""Labels each new namespace of a run that has no Pod Security level."""
_BINDING = {"policyName": _NAME}
SIDECAR = {
    "apiVersion": "networking.istio.io/v1",
    "kind": "Sidecar",
    "metadata": {"name": "default", "namespace": "istio-system"},
    "spec": {"egress": [{"hosts": ["./*", "istio-system/*"]}]},
}
STRICT = {
    "apiVersion": "security.istio.io/v1",
    "kind": "PeerAuthentication",
    "metadata": {"name": "default", "namespace": "istio-system"},
    "spec": {"mtls": {"mode": "STRICT"}},
}


def in_new_namespaces(put: Callable[[Api, Any], None], *arguments: str) -> Callable[[Stage], Sequence[str]]:
    """Return a `prepare` that calls `put` for every new namespace of the run, and adds arguments."""

    def prepare(stage: Stage) -> Sequence[str]:
        ended = threading.Event()

        def watch() -> None:
            seen: set[str] = set()
            while not ended.wait(0.05):
                for namespace in stage.api.core.list_namespace(label_selector=RUN_LABEL).items:
                    if namespace.metadata.name not in seen:
                        seen.add(namespace.metadata.name)
                        put(stage.api, namespace)

        threading.Thread(target=watch, daemon=True).start()
        stage.cleanup.callback(ended.set)
        return arguments

    return prepare


def _put(manifest: dict[str, Any]) -> Callable[[Api, Any], None]:
    def put(api: Api, namespace: Any) -> None:
        api.resource(manifest["apiVersion"], manifest["kind"]).create(body=manifest, namespace=namespace.metadata.name)

    return put


def _restrict(stage: Stage) -> Sequence[str]:
    """Let the API server label new namespaces; wait until it does, which takes it a moment."""
    kinds = {kind: stage.api.resource(_ADMISSION, kind) for kind in (_RESTRICTS, f"{_RESTRICTS}Binding")}
    for kind, spec in zip(kinds.values(), (_POLICY, _BINDING), strict=True):
        kind.create(body={"metadata": {"name": _NAME}, "spec": spec})
        stage.cleanup.callback(kind.delete, _NAME)
    probe = {"metadata": {"generateName": "restricted-", "labels": {RUN_LABEL: "none"}}}
    while ENFORCE not in stage.api.core.create_namespace(probe, dry_run="All").metadata.labels:
        threading.Event().wait(0.1)
    return ()


def _in_the_mesh(manifest: dict[str, Any]) -> Callable[[Stage], Sequence[str]]:
    def prepare(stage: Stage) -> Sequence[str]:
        kind = stage.api.resource(manifest["apiVersion"], manifest["kind"])
        kind.create(body=manifest, namespace=manifest["metadata"]["namespace"])
        stage.cleanup.callback(kind.delete, manifest["metadata"]["name"], manifest["metadata"]["namespace"])
        return ()

    return prepare


def _documented_rights(stage: Stage) -> Sequence[str]:
    """Run as the service account of docs/rights.yaml."""
    utils.create_from_yaml(stage.api.client, str(RIGHTS))
    stage.cleanup.callback(_take_rights, stage.api)
    token = stage.api.core.create_namespaced_service_account_token(NAME, NAME, client.AuthenticationV1TokenRequest(
        spec=client.V1TokenRequestSpec(expiration_seconds=7200)))  # fmt: skip
    kubeconfig = yaml.safe_load(stage.way.kubeconfig.read_text(encoding="utf-8"))
    kubeconfig["users"][0]["user"] = {"token": token.status.token}
    written = stage.folder / "kubeconfig"
    written.write_text(yaml.safe_dump(kubeconfig), encoding="utf-8")
    return ("--istio-egress-kubeconfig", str(written))


def _take_rights(api: Api) -> None:
    documents = list(yaml.safe_load_all(RIGHTS.read_text(encoding="utf-8")))
    for document in reversed(documents):
        metadata = document["metadata"]
        api.resource(document["apiVersion"], document["kind"]).delete(metadata["name"], metadata.get("namespace"))
    gone = threading.Event()
    while True:
        try:
            api.core.read_namespace(NAME)
        except ApiException:
            return
        gone.wait(0.2)


def _nothing(_: Stage) -> None:
    return


STRICT_CLUSTERS = (
    Fault("rights", "the user of the run has only the permissions of docs/rights.yaml", "right results", _nothing,
          frozenset({0}), prepare=_documented_rights),
    Fault("pod-security", "namespaces without a Pod Security label enforce `restricted`", "right results", _nothing,
          frozenset({0}), prepare=_restrict),
    Fault("quota", "a ResourceQuota in every new namespace: all pods need requests and limits", "right results",
          _nothing, frozenset({0}), prepare=in_new_namespaces(_put(QUOTA))),
    Fault("default-deny", "a NetworkPolicy in every new namespace that denies all traffic",
          "an error that names the policy", _nothing, frozenset({1, 3}),
          prepare=in_new_namespaces(_put(DENY), "--istio-egress-timeout-scale=0.5")),
    Fault("mesh-sidecar", "a mesh-wide Sidecar that imports only `./*` and `istio-system/*`",
          "right results; tests without a Sidecar in their namespace are skipped", _nothing, frozenset({0}),
          prepare=_in_the_mesh(SIDECAR)),
    Fault("strict-mtls", "a mesh-wide PeerAuthentication in mode STRICT", "right results", _nothing, frozenset({0}),
          prepare=_in_the_mesh(STRICT)),
)  # fmt: skip
