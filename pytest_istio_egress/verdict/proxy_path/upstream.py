"""What a proxy's cluster does on its connections: TLS and its settings, protocol, limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pytest_istio_egress.verdict.proxy_path.dump import Part, ProxyDump

_NO_LIMIT = 4294967295
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


@dataclass(frozen=True)
class OriginatedTls:
    """The TLS that a cluster originates to hosts outside the mesh."""

    sni: str
    """The fixed server name; empty where it is the request's host, or none is sent."""
    secrets: tuple[str, ...]
    """Istio's names of the secrets with its certificates, such as kubernetes://partner-client-cacert."""
    verified_names: tuple[str, ...]
    """The names of which the host's certificate must have one."""
    client_certificate: bool

    @property
    def of_workload(self) -> bool:
        """Whether its certificate is the workload's own: the mesh's mutual TLS (ISTIO_MUTUAL)."""
        return "default" in self.secrets

    @property
    def by_system_authorities(self) -> bool:
        """Whether the authorities of the proxy's image verify the host's certificate."""
        return any(name.startswith("file-root:system") for name in self.secrets)


def originated_tls(cluster: Part | None) -> OriginatedTls | None:
    """Return a cluster's own TLS; None for a cluster that sends what it gets, or that uses the mesh's mutual TLS."""
    context = _context((cluster or {}).get("transport_socket") or {})
    if context is None:
        return None
    common = context.get("common_tls_context") or {}
    certificates = common.get("tls_certificate_sds_secret_configs") or common.get("tls_certificates") or []
    combined = common.get("combined_validation_context") or {}
    validation = combined.get("validation_context_sds_secret_config") or common.get(
        "validation_context_sds_secret_config"
    )
    names = (
        (combined.get("default_validation_context") or common.get("validation_context") or {}).get(
            "match_typed_subject_alt_names"
        )
        or (combined.get("default_validation_context") or {}).get("match_subject_alt_names")
        or []
    )
    secrets = [*certificates, *([validation] if validation else [])]
    return OriginatedTls(
        sni=str(context.get("sni") or ""),
        secrets=tuple(str(each["name"]) for each in secrets if "name" in each),
        verified_names=tuple(_exact(names)),
        client_certificate=bool(certificates),
    )


def awaited_secrets(dump: ProxyDump, name: str) -> list[str]:
    """Return the Secrets that a cluster uses, and that its proxy requested and did not receive.

    A proxy may wait for others: those of clusters that no longer exist stay requested.
    """
    tls = originated_tls(dump.warming_clusters.get(name) or dump.clusters.get(name))
    return sorted(dump.awaited_secrets & set(tls.secrets)) if tls else []


def _exact(names: list[Mapping[str, Any]]) -> Iterator[str]:
    for name in names:
        matcher = name.get("matcher") or name
        yield from (str(matcher[kind]) for kind in ("exact", "prefix", "suffix") if kind in matcher)


def _context(socket: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the TLS of a transport socket, also inside of another one: of waypoints, or with the PROXY protocol."""
    context = socket.get("typed_config") or {}
    if inner := context.get("transport_socket"):
        return _context(inner)
    return context if str(context.get("@type", "")).endswith("UpstreamTlsContext") else None


def mesh_tls(cluster: Part | None) -> bool:
    """Whether a cluster may use the mesh's mutual TLS (ISTIO_MUTUAL, or automatically where the peer supports it)."""
    sockets = [each.get("transport_socket") or {} for each in (cluster or {}).get("transport_socket_matches") or []]
    return any(_context(socket) is not None for socket in sockets) or _uses_workload_certificate(cluster)


def _uses_workload_certificate(cluster: Part | None) -> bool:
    tls = originated_tls(cluster)
    return tls is not None and tls.of_workload


def sends_proxy_protocol(cluster: Part | None) -> bool:
    """Whether a cluster begins its connections with the PROXY protocol."""
    return "upstream_proxy_protocol" in str(((cluster or {}).get("transport_socket") or {}).get("name") or "")


def uses_http2(cluster: Part | None) -> bool:
    """Whether a cluster speaks HTTP/2 to its endpoints, whatever the client speaks."""
    options = ((cluster or {}).get("typed_extension_protocol_options") or {}).get(_OPTIONS) or {}
    return "http2_protocol_options" in (options.get("explicit_http_config") or {}) or "http2_protocol_options" in (
        cluster or {}
    )


def limits(cluster: Part | None) -> Mapping[str, int]:
    """Return the circuit breaker's limits that are set below Istio's default (4294967295), by Envoy's names."""
    return {
        name: value
        for threshold in ((cluster or {}).get("circuit_breakers") or {}).get("thresholds") or []
        for name, value in threshold.items()
        if name.startswith("max_") and isinstance(value, int) and value < _NO_LIMIT
    }


def cluster_type(cluster: Part | None) -> str:
    """Return Envoy's type of a cluster, such as STRICT_DNS; empty without one."""
    part = cluster or {}
    if not part:
        return ""
    return str(part.get("type") or (part.get("cluster_type") or {}).get("name") or "STATIC")
