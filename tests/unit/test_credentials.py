"""The secrets for TLS origination match their names, verified without a cluster."""

import base64
import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from pytest_istio_egress.cluster.certificates import Authority, Served
from pytest_istio_egress.cluster.credentials import CREDENTIALS, credentials, kubernetes_secret

NOW = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
AUTHORITY = Authority("run", NOW)
OUTSIDE = AUTHORITY.serve("outside", ["*.run.test"])
SECRETS = credentials(AUTHORITY, revoked=OUTSIDE)


def part(secret: str, name: str) -> bytes:
    return base64.b64decode(SECRETS[secret][name])


def revoked(secret: str, served: Served) -> set[bool]:
    revocations = x509.load_pem_x509_crl(part(secret, "ca.crl"))
    assert revocations.is_signature_valid(x509.load_pem_x509_certificate(AUTHORITY.certificate).public_key())  # type: ignore[arg-type]  # an EC key
    serials = [x509.load_pem_x509_certificate(certificate).serial_number for certificate in served.certificates]
    return {revocations.get_revoked_certificate_by_serial_number(serial) is not None for serial in serials}


def issued_by(certificate: bytes, authority: bytes) -> bool:
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except ValueError:
        return False
    return True


def test_certificates_are_valid_at_the_clusters_time() -> None:
    for certificate in (AUTHORITY.certificate, *OUTSIDE.certificates, part("wrong-client", "tls.crt")):
        loaded = x509.load_pem_x509_certificate(certificate)
        assert loaded.not_valid_before_utc < NOW < loaded.not_valid_after_utc


def test_every_credential_has_a_secret() -> None:
    assert set(SECRETS) == set(CREDENTIALS)


def test_external_certificate_is_issued_by_outside_ca_only() -> None:
    for certificate in OUTSIDE.certificates:
        assert issued_by(certificate, part("outside-ca", "ca.crt"))
        assert not issued_by(certificate, part("wrong-ca", "ca.crt"))


def test_external_certificate_is_revoked_by_one_list_only() -> None:
    assert revoked("outside-ca-revoked", OUTSIDE) == {True}
    assert revoked("outside-ca-unrelated", OUTSIDE) == {False}


def test_external_server_has_a_key_of_each_kind_that_cipher_suites_need() -> None:
    secret = OUTSIDE.secret(AUTHORITY.certificate)
    keys = [serialization.load_pem_private_key(base64.b64decode(secret[name]), None) for name in ("tls.key", "rsa.key")]
    assert [type(key).__name__ for key in keys] == ["ECPrivateKey", "RSAPrivateKey"]


def test_client_certificate_is_issued_by_the_runs_authority() -> None:
    assert issued_by(part("client", "tls.crt"), AUTHORITY.certificate)
    assert not issued_by(part("wrong-client", "tls.crt"), AUTHORITY.certificate)


def test_secret_with_a_key_is_of_type_tls() -> None:
    assert kubernetes_secret("client", SECRETS["client"])["type"] == "kubernetes.io/tls"
    assert kubernetes_secret("outside-ca", SECRETS["outside-ca"])["type"] == "Opaque"
