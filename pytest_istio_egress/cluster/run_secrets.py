"""Certificates, credentials and pull secrets of the run, in every namespace that uses them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kubernetes import client
from kubernetes.client.exceptions import ApiException
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from pytest_istio_egress.cluster.api import Api, ClusterError, reason
from pytest_istio_egress.cluster.apply import Applier
from pytest_istio_egress.cluster.certificates import Authority
from pytest_istio_egress.cluster.credentials import CREDENTIALS, SERVED, credentials, kubernetes_secret

_AUTHORITY = "certificate-authority"
"""The ConfigMap that only one worker can create: that worker creates the certificates."""


def distribute_authority(applier: Applier, namespaces: Iterable[str]) -> None:
    """Create the run's certificate authority unless it exists, and copy its certificate into namespaces."""
    public = {"ca.crt": _authority(applier)}
    for namespace in namespaces:
        applier.apply([config_map("egress-certificates", namespace, public)], namespace)


def copy_credentials(applier: Applier, namespace: str, *, timeout: float) -> None:
    """Copy the secrets for credentialName into a namespace: a proxy gets only secrets of its namespace."""
    outside = applier.names.namespace("egress-outside")
    for attempt in Retrying(
        stop=stop_after_delay(timeout),
        wait=wait_fixed(0.1),
        retry=retry_if_exception_type(ClusterError),
        reraise=True,
    ):
        with attempt:  # another worker may be creating them
            secrets = [_secret(applier.api, outside, name) for name in CREDENTIALS]
    applier.apply([kubernetes_secret(secret.metadata.name, secret.data) for secret in secrets], namespace)


def copy_pull_secrets(applier: Applier, namespace: str) -> None:
    """Copy the pull secrets of the run's placement into a namespace: pods use only secrets of their namespace."""
    for secret in applier.names.placement.pull_secrets:
        origin, _, name = secret.partition("/")
        try:
            original = applier.api.core.read_namespaced_secret(name, origin)
        except ApiException as error:
            raise ClusterError(f"cannot read pull secret {secret}: {reason(error)}") from error
        applier.apply([{**kubernetes_secret(name, original.data), "type": original.type}], namespace)


def config_map(name: str, namespace: str, data: dict[str, str]) -> dict[str, Any]:
    """Build a ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        "data": data,
    }


def _authority(applier: Applier) -> str:
    """Create the run's certificates, or read the authority's where another worker was first; return it as PEM."""
    api, names = applier.api, applier.names
    namespace = names.namespace("egress-outside")
    authority = Authority(f"pytest-istio-egress run {names.run}", api.now())
    domain = f"{names.run}.test"
    outside = authority.serve(
        "outside", [f"*.{domain}", f"*.wild.{domain}", applier.names.render("outside.egress-outside.svc.cluster.local")]
    )
    second = authority.serve("second", [f"second.{domain}"])
    public = authority.certificate.decode()
    marker = config_map(_AUTHORITY, namespace, {"ca.crt": public})
    try:
        api.core.create_namespaced_config_map(namespace, applier.rendered(marker, namespace))
    except ApiException as error:
        if error.status != 409:
            raise ClusterError(f"cannot store the run's certificates: {reason(error)}") from error
        return str(api.core.read_namespaced_config_map(_AUTHORITY, namespace).data["ca.crt"])
    for name, signed in zip(SERVED, (outside, second), strict=True):
        applier.apply([kubernetes_secret(name, signed.secret(authority.certificate))], namespace)
    for name, data in credentials(authority, revoked=outside).items():
        applier.apply([kubernetes_secret(name, data)], namespace)
    return public


def _secret(api: Api, namespace: str, name: str) -> client.V1Secret:
    """Read a secret by its name, which needs no permission to list secrets."""
    try:
        return api.core.read_namespaced_secret(name, namespace)
    except ApiException as error:
        raise ClusterError(f"cannot read secret {name} in {namespace}: {reason(error)}") from error
