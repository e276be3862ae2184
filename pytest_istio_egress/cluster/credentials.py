"""The secrets that proxies are given for TLS origination (credentialName): right ones and wrong ones, by name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from pytest_istio_egress.cluster.certificates import Authority, Signed

SERVED = ("outside-certificate", "second-certificate")
"""The secrets of the servers outside."""
CREDENTIALS = ("outside-ca", "wrong-ca", "outside-ca-revoked", "outside-ca-unrelated", "client", "wrong-client")


def credentials(authority: Authority, revoked: Signed) -> dict[str, dict[str, str]]:
    """Return the data of every secret, by the name that manifests use.

    outside-ca             what outside's certificate is verified with
    wrong-ca               another authority's certificate
    outside-ca-revoked     outside-ca with a list (CRL) that revokes outside's certificate
    outside-ca-unrelated   outside-ca with a list that revokes a certificate of nobody's
    client                 a client's certificate, and outside-ca
    wrong-client           one that another authority signed, and outside-ca
    """
    another = Authority("another authority", authority.now)
    own = authority.certificate
    return {
        "outside-ca": _encoded({"ca.crt": own}),
        "wrong-ca": _encoded({"ca.crt": another.certificate}),
        "outside-ca-revoked": _encoded({"ca.crt": own, "ca.crl": authority.revoke(revoked.certificate)}),
        "outside-ca-unrelated": _encoded({"ca.crt": own, "ca.crl": authority.revoke()}),
        "client": authority.sign("client", []).secret(own),
        "wrong-client": another.sign("wrong client", []).secret(own),
    }


def kubernetes_secret(name: str, data: Mapping[str, str]) -> dict[str, Any]:
    """Build a Secret of base64 `data`; one with a key pair is of the type for that."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls" if "tls.key" in data else "Opaque",
        "metadata": {"name": name},
        "data": dict(data),
    }


def _encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(part).decode() for name, part in data.items()}
