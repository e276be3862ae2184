"""The authorities and certificates of the plain servers: made once per demonstration, in a folder."""

from __future__ import annotations

import base64
import datetime
import os
from pathlib import Path
from typing import Any

from pytest_istio_egress.cluster.certificates import Authority

FOLDER = "FIELD_REPORTS_CERTIFICATES"
"""The environment variable with the folder."""
_FILES = ("ca.crt", "tls.crt", "tls.key", "client.crt", "client.key", "old-ca.crt")


def make(folder: Path) -> None:
    """Write the certificates of the servers and of the gateway, and the certificate of last year's authority."""
    now = datetime.datetime.now(datetime.UTC)
    right, old = Authority("partner", now), Authority("partner, last year", now)
    server, client = right.sign("partner.test", ["partner.test", "*.test"]), right.sign("payments", [])
    contents = (right.certificate, server.certificate, server.key, client.certificate, client.key, old.certificate)
    for name, content in zip(_FILES, contents, strict=True):
        (folder / name).write_bytes(content)


def _encoded(name: str) -> str:
    return base64.b64encode(Path(os.environ[FOLDER], name).read_bytes()).decode()


def secret(*, namespace: str, name: str, authority: str) -> dict[str, Any]:
    """Return a Secret with the client's certificate and an authority: `right` or `old`."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace},
        "data": {
            "tls.crt": _encoded("client.crt"),
            "tls.key": _encoded("client.key"),
            "ca.crt": _encoded("ca.crt" if authority == "right" else "old-ca.crt"),
        },
    }


def server_secret() -> dict[str, Any]:
    """Return the Secret with the servers' certificate."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "certs", "namespace": "partner-net"},
        "data": {name: _encoded(name) for name in ("tls.crt", "tls.key", "ca.crt")},
    }
