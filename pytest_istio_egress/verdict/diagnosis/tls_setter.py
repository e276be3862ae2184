"""The resource that sets the TLS which a proxy originates: a DestinationRule or a BackendTLSPolicy, and its fields."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_istio_egress.model.cluster_name import port_of
from pytest_istio_egress.verdict.analysis.documents import full_name
from pytest_istio_egress.verdict.analysis.tls_policies import policy_of
from pytest_istio_egress.verdict.diagnosis.failure import Failure, LoggedHop
from pytest_istio_egress.verdict.proxy_path.upstream import OriginatedTls, originated_tls


@dataclass(frozen=True, kw_only=True)
class TlsSetter:
    """The resource, and what its fields are called."""

    name: str
    """As `DestinationRule partner in payments`."""
    mode: str
    """The field that decides whether TLS is used."""
    authority: str
    """The field of the authorities that it verifies with."""
    server_name: str
    names: str
    """The fields of the names that it verifies."""

    def __str__(self) -> str:
        """Return it as sentences have it."""
        return self.name


def _destination_rule(name: str) -> TlsSetter:
    return TlsSetter(
        name=name,
        mode="tls.mode",
        authority="tls.caCertificates or tls.credentialName",
        server_name="tls.sni",
        names="tls.sni and tls.subjectAltNames",
    )


def _tls_policy(name: str) -> TlsSetter:
    return TlsSetter(
        name=name,
        mode="targetRefs",
        authority="validation.caCertificateRefs or validation.wellKnownCACertificates",
        server_name="validation.hostname",
        names="validation.hostname and validation.subjectAltNames",
    )


def tls_of(hop: LoggedHop) -> OriginatedTls | None:
    """Return the TLS that the hop's cluster originates; None without, or where its configuration is not known."""
    return originated_tls(hop.path.cluster) if hop.path else None


def tls_setter(failure: Failure, hop: LoggedHop) -> TlsSetter:
    """Return the resource that the hop's cluster has its TLS from."""
    origin = hop.path.destination_rule if hop.path else None
    if origin is None:
        return _destination_rule("the DestinationRule")
    if not origin.target:
        return _destination_rule(str(origin))
    policy = policy_of(failure.configuration, origin, port_of(hop.line.cluster))
    return _tls_policy(full_name(policy) if policy else str(origin))
