"""The secrets for proxies are what their names say: verified here with the same certificates, without a cluster."""

import base64
import datetime

from cryptography import x509

from pytest_istio_egress.cluster.certificates import Authority, Signed
from pytest_istio_egress.cluster.credentials import CREDENTIALS, credentials, kubernetes_secret

NOW = datetime.datetime(2001, 2, 3, tzinfo=datetime.UTC)
AUTHORITY = Authority("run", NOW)
OUTSIDE = AUTHORITY.sign("outside", ["*.run.test"])
SECRETS = credentials(AUTHORITY, revoked=OUTSIDE)


def part(secret: str, name: str) -> bytes:
    return base64.b64decode(SECRETS[secret][name])


def revoked(secret: str, signed: Signed) -> bool:
    revocations = x509.load_pem_x509_crl(part(secret, "ca.crl"))
    assert revocations.is_signature_valid(x509.load_pem_x509_certificate(AUTHORITY.certificate).public_key())  # type: ignore[arg-type]  # an EC key
    serial = x509.load_pem_x509_certificate(signed.certificate).serial_number
    return revocations.get_revoked_certificate_by_serial_number(serial) is not None


def issued_by(certificate: bytes, authority: bytes) -> bool:
    try:
        x509.load_pem_x509_certificate(certificate).verify_directly_issued_by(x509.load_pem_x509_certificate(authority))
    except ValueError:
        return False
    return True


def test_certificates_are_valid_by_the_clusters_clock() -> None:
    for certificate in (AUTHORITY.certificate, OUTSIDE.certificate, part("wrong-client", "tls.crt")):
        found = x509.load_pem_x509_certificate(certificate)
        assert found.not_valid_before_utc < NOW < found.not_valid_after_utc


def test_every_secret_that_is_waited_for_is_made() -> None:
    assert set(SECRETS) == set(CREDENTIALS)


def test_only_the_right_authority_signed_the_outside_certificate() -> None:
    assert issued_by(OUTSIDE.certificate, part("outside-ca", "ca.crt"))
    assert not issued_by(OUTSIDE.certificate, part("wrong-ca", "ca.crt"))


def test_only_one_list_revokes_the_outside_certificate() -> None:
    assert revoked("outside-ca-revoked", OUTSIDE)
    assert not revoked("outside-ca-unrelated", OUTSIDE)


def test_only_the_right_client_was_signed_by_the_runs_authority() -> None:
    assert issued_by(part("client", "tls.crt"), AUTHORITY.certificate)
    assert not issued_by(part("wrong-client", "tls.crt"), AUTHORITY.certificate)


def test_a_key_pair_is_a_tls_secret() -> None:
    assert kubernetes_secret("client", SECRETS["client"])["type"] == "kubernetes.io/tls"
    assert kubernetes_secret("outside-ca", SECRETS["outside-ca"])["type"] == "Opaque"
