"""A kubeconfig for a service account with only the documented permissions."""

from __future__ import annotations

from pathlib import Path

import yaml
from kubernetes import client, utils

from pytest_istio_egress.cli.rights import NAME
from pytest_istio_egress.cluster.api import Api

RIGHTS = Path(__file__).parents[2] / "docs" / "rights.yaml"


def with_documented_rights(api: Api, administrator: Path, into: Path) -> Path:
    """Apply docs/rights.yaml, and write a kubeconfig with a token of its service account."""
    utils.create_from_yaml(api.client, str(RIGHTS))
    return token_kubeconfig(api, administrator, into, NAME, NAME)


def token_kubeconfig(api: Api, administrator: Path, into: Path, namespace: str, account: str) -> Path:
    """Write a kubeconfig with a token of a service account."""
    token = api.core.create_namespaced_service_account_token(
        account,
        namespace,
        client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(expiration_seconds=86_400)),
    )
    kubeconfig = yaml.safe_load(administrator.read_text())
    kubeconfig["users"][0]["user"] = {"token": token.status.token}
    written = into / "kubeconfig"
    written.write_text(yaml.safe_dump(kubeconfig))
    return written
