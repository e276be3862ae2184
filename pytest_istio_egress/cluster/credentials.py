"""The secrets for TLS origination (credentialName), valid and invalid ones, by name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pytest_istio_egress.cluster.certificates import Authority, Served

SERVED = ("outside-certificate", "second-certificate")
"""The secrets of the external servers."""
CREDENTIALS = ("outside-ca", "wrong-ca", "outside-ca-revoked", "outside-ca-unrelated", "client", "wrong-client")


def credentials(authority: Authority, revoked: Served) -> dict[str, dict[str, str]]:
    """Return the data of every secret, by its name in manifests.

    outside-ca             the CA of the external servers' certificates
    wrong-ca               another CA
    outside-ca-revoked     outside-ca with a CRL that revokes the external server's certificates
    outside-ca-unrelated   outside-ca with a CRL that revokes an unrelated certificate
    client                 a client certificate, and outside-ca
    wrong-client           a client certificate of another CA, and outside-ca
    """
    another = Authority("another authority", authority.now)
    own = authority.certificate
    return {
        "outside-ca": _encoded({"ca.crt": own}),
        "wrong-ca": _encoded({"ca.crt": another.certificate}),
        "outside-ca-revoked": _encoded({"ca.crt": own, "ca.crl": authority.revoke(*revoked.certificates)}),
        "outside-ca-unrelated": _encoded({"ca.crt": own, "ca.crl": authority.revoke()}),
        "client": authority.sign("client", []).secret(own),
        "wrong-client": another.sign("wrong client", []).secret(own),
    }


def kubernetes_secret(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """Build a Secret from base64 `data`, of type kubernetes.io/tls where it has a key."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls" if "tls.key" in data else "Opaque",
        "metadata": {"name": name},
        "data": dict(data),
    }


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(part).decode() for name, part in data.items()}
