"""The run's certificate authority, and the certificates that it signs for external servers and clients."""

from __future__ import annotations

import base64
import datetime
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_VALID = datetime.timedelta(days=7)


@dataclass(frozen=True)
class Signed:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes

    def secret(self, authority: bytes) -> dict[str, str]:
        """Return the data of a TLS Secret, the authority's certificate included (ca.crt)."""
        parts = {"tls.crt": self.certificate, "tls.key": self.key, "ca.crt": authority}
        return {name: base64.b64encode(part).decode() for name, part in parts.items()}


@dataclass(frozen=True)
class Served:
    """A server's certificates: cipher suites of a client's TLS 1.2 need a key of the one or the other kind."""

    elliptic: Signed
    rsa: Signed

    @property
    def certificates(self) -> tuple[bytes, bytes]:
        """Both certificates, PEM."""
        return self.elliptic.certificate, self.rsa.certificate

    def secret(self, authority: bytes) -> dict[str, str]:
        """Return the data of a TLS Secret, with the RSA key and its certificate besides (rsa.key, rsa.crt)."""
        rsa = self.rsa.secret(authority)
        return {**self.elliptic.secret(authority), "rsa.crt": rsa["tls.crt"], "rsa.key": rsa["tls.key"]}


class Authority:
    """A certificate authority of one run; `now` is the cluster's time, by which its certificates are valid."""

    def __init__(self, name: str, now: datetime.datetime) -> None:
        self.now = now
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        self._certificate = builder.sign(self._key, hashes.SHA256())

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def sign(self, name: str, hosts: Sequence[str]) -> Signed:
        """Sign a certificate for a subject and its DNS names (wildcards allowed)."""
        return self._sign(name, hosts, ec.generate_private_key(ec.SECP256R1()))

    def serve(self, name: str, hosts: Sequence[str]) -> Served:
        """Sign the certificates of a server."""
        return Served(self.sign(name, hosts), self._sign(name, hosts, rsa.generate_private_key(65537, 2048)))

    def _sign(self, name: str, hosts: Sequence[str], key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> Signed:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, key.public_key())
        if hosts:
            names = x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        return Signed(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )

    def revoke(self, *certificates: bytes) -> bytes:
        """Return a certificate revocation list, PEM; without certificates, it revokes one that does not exist."""
        now = self.now
        serials = [x509.load_pem_x509_certificate(certificate).serial_number for certificate in certificates]
        builder = x509.CertificateRevocationListBuilder(
            issuer_name=self._name, last_update=now - datetime.timedelta(hours=1), next_update=now + _VALID
        )
        for serial in serials or [x509.random_serial_number()]:
            revoked = x509.RevokedCertificateBuilder(serial, now - datetime.timedelta(hours=1))
            builder = builder.add_revoked_certificate(revoked.build())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey
    ) -> x509.CertificateBuilder:
        return x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=self.now - datetime.timedelta(hours=1),
            not_valid_after=self.now + _VALID,
        )
