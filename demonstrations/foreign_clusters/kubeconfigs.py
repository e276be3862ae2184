"""Kubeconfigs as companies issue them: an exec credential plugin, an HTTP proxy to the API, a service account token."""

from __future__ import annotations

import base64
import json
import select
import shlex
import socket
import sys
import threading
from pathlib import Path

import yaml


def by_plugin_and_proxy(kubeconfig: Path, folder: Path) -> Path:
    """Return a kubeconfig whose user has an exec credential plugin, and whose cluster has a `proxy-url`."""
    config = yaml.safe_load(kubeconfig.read_text())
    user = config["users"][0]["user"]
    credential = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {
            "clientCertificateData": _read(user, "client-certificate"),
            "clientKeyData": _read(user, "client-key"),
        },
    }
    credential_file = folder / "credential.json"
    credential_file.write_text(json.dumps(credential))
    plugin = folder / "plugin"
    plugin.write_text(f"#!/bin/sh\nexec cat {shlex.quote(str(credential_file))}\n")
    plugin.chmod(0o700)
    config["users"][0]["user"] = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": str(plugin),
            "interactiveMode": "Never",
        }
    }
    config["clusters"][0]["cluster"]["proxy-url"] = f"http://127.0.0.1:{_proxy()}"
    written = folder / "kubeconfig"
    written.write_text(yaml.safe_dump(config))
    return written


def by_expiring_certificates(kubeconfig: Path, folder: Path, authority: Path) -> Path:
    """Return a kubeconfig whose credential plugin hands out certificates that are valid for a minute.

    `authority` is the folder of the authority that the API server trusts for clients: ca.crt and ca.key.
    """
    plugin = folder / "plugin"
    plugin.write_text(_ISSUE.format(python=sys.executable, authority=str(authority), calls=str(folder / "calls")))
    plugin.chmod(0o700)
    config = yaml.safe_load(kubeconfig.read_text())
    version = "client.authentication.k8s.io/v1"
    config["users"][0]["user"] = {"exec": {"apiVersion": version, "command": str(plugin), "interactiveMode": "Never"}}
    written = folder / "kubeconfig"
    written.write_text(yaml.safe_dump(config))
    return written


_ISSUE = """\
#!{python}
import datetime, json, pathlib
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

authority = pathlib.Path("{authority}")
issuer = x509.load_pem_x509_certificate((authority / "ca.crt").read_bytes())
signer = serialization.load_pem_private_key((authority / "ca.key").read_bytes(), None)
key = ec.generate_private_key(ec.SECP256R1())
now = datetime.datetime.now(datetime.UTC)
end = now + datetime.timedelta(seconds=60)
group = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters")
subject = x509.Name([group, x509.NameAttribute(NameOID.COMMON_NAME, "owner")])
builder = x509.CertificateBuilder(issuer.subject, subject, key.public_key(), x509.random_serial_number(), now, end)
usage = x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.CLIENT_AUTH])
certificate = builder.add_extension(usage, critical=False).sign(signer, hashes.SHA256())
pem = serialization.Encoding.PEM
private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
status = {{
    "clientCertificateData": certificate.public_bytes(pem).decode(),
    "clientKeyData": private.decode(),
    "expirationTimestamp": end.strftime("%Y-%m-%dT%H:%M:%SZ"),
}}
with open("{calls}", "a") as calls:
    calls.write("called\\n")
print(json.dumps({{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}}))
"""
"""The credential plugin: it signs a certificate of the cluster's owner, and notes that it was called."""


def _read(user: dict[str, str], field: str) -> str:
    if f"{field}-data" in user:
        return base64.b64decode(user[f"{field}-data"]).decode()
    return Path(user[field]).read_text()


def _proxy() -> int:
    """Serve CONNECT on a loopback port until this process ends; return the port."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_tunnel, args=(client,), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    port: int = listening.getsockname()[1]
    return port


def _tunnel(client: socket.socket) -> None:
    request = b""
    while b"\r\n\r\n" not in request:
        request += client.recv(4096)
    method, authority, _ = request.split(b"\r\n", 1)[0].decode().split()
    if method != "CONNECT":
        sys.stderr.write(f"the proxy got a {method} request, not CONNECT\n")
        client.close()
        return
    host, _, port = authority.rpartition(":")
    with client, socket.create_connection((host, int(port))) as server:
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ends = {client: server, server: client}
        while True:
            for ready in select.select(list(ends), [], [])[0]:
                data = ready.recv(65536)
                if not data:
                    return
                ends[ready].sendall(data)
