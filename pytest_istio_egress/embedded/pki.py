"""Makes a cluster's certificates, keys and kubeconfigs; all are new for every cluster."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LASTS = datetime.timedelta(days=365)
SIGNS_CERTIFICATES = x509.KeyUsage(
    digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False, key_encipherment=False,
    data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
)  # fmt: skip


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs for both servers and clients."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey

    @staticmethod
    def new(name: str) -> Authority:
        """Make a self-signed certificate authority."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = _builder(subject, subject, key)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(SIGNS_CERTIFICATES, critical=True)
        return Authority(builder.sign(key, hashes.SHA256()), key)

    def issue(self, user: str, groups: Sequence[str] = (), hosts: Sequence[str] = ()) -> tuple[bytes, bytes]:
        """Return (certificate, key) in PEM for a Kubernetes user and its groups, or for a server's `hosts`."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
        subject = x509.Name([*names, x509.NameAttribute(NameOID.COMMON_NAME, user)])
        builder = _builder(subject, self.certificate.subject, key)
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_name(h) for h in hosts]), critical=False)
        return pem(builder.sign(self.key, hashes.SHA256())), key_pem(key)


def _builder(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + LASTS)
    )


def _name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def pem(certificate: x509.Certificate) -> bytes:
    """Return the certificate in PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return the private key in PEM, in the SEC1 form that every part of Kubernetes reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def kubeconfig(server: str, authority: bytes, credentials: tuple[bytes, bytes], name: str) -> str:
    """Return a kubeconfig (JSON is YAML) with its certificates embedded."""
    certificate, key = credentials
    cluster = {"server": server, "certificate-authority-data": _base64(authority)}
    user = {"client-certificate-data": _base64(certificate), "client-key-data": _base64(key)}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": cluster}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        },
        indent=1,
    )


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def write_private(file: Path, content: bytes | str) -> Path:
    """Write a file that at no time anyone except its owner can read."""
    data = content.encode() if isinstance(content, str) else content
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        out.write(data)
    return file


def make_pki(folder: Path, node: str, addresses: Sequence[str], outside: str, name: str) -> None:
    """Write the certificates and kubeconfigs of the node's components to `folder`, and the one for the user.

    `node` is the node's name, `addresses` are those of the API server's certificate besides its usual
    names, `outside` is its URL on this machine.
    """
    authority = Authority.new("istio-egress-embedded")
    root = pem(authority.certificate)
    write_private(folder / "ca.crt", root)
    write_private(folder / "ca.key", key_pem(authority.key))
    mesh = Authority.new("istio-egress-mesh")
    write_private(folder / "mesh-ca.crt", pem(mesh.certificate))
    write_private(folder / "mesh-ca.key", key_pem(mesh.key))
    signing = ec.generate_private_key(ec.SECP256R1())
    write_private(folder / "service-account.key", key_pem(signing))
    public = signing.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    write_private(folder / "service-account.pub", public)
    usual = [f"kubernetes{tail}" for tail in ("", ".default", ".default.svc", ".default.svc.cluster.local")]
    users = {
        "apiserver": ("kube-apiserver", (), (*usual, "localhost", *addresses)),
        "apiserver-kubelet": ("kube-apiserver-kubelet-client", ("system:masters",), ()),
        "kubelet-server": (node, (), (node, *addresses)),
        "kubelet": (f"system:node:{node}", ("system:nodes",), ()),
        "controller-manager": ("system:kube-controller-manager", ("system:masters",), ()),
        "scheduler": ("system:kube-scheduler", (), ()),
        "kube-proxy": ("system:kube-proxy", (), ()),
        "network-policy": ("istio-egress:network-policy", (), ()),
        "admin": ("kubernetes-admin", ("system:masters",), ()),
    }
    for file, (user, groups, hosts) in users.items():
        credentials = authority.issue(user, groups, hosts)
        write_private(folder / f"{file}.crt", credentials[0])
        write_private(folder / f"{file}.key", credentials[1])
        write_private(folder / f"{file}.conf", kubeconfig("https://127.0.0.1:6443", root, credentials, name))
        if file == "admin":
            write_private(folder / "kubeconfig", kubeconfig(outside, root, credentials, name))
