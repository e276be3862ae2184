"""Which listener and filter chain of a proxy take a connection, by Envoy's rules of matching."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from typing import Any

from pytest_istio_egress.verdict.proxy_path.dump import Part, ProxyDump

CATCH_ALL = "virtualOutbound"
"""The sidecar's listener for connections that no other listener takes: PassthroughCluster or BlackHoleCluster."""
ANY_ADDRESS = ("0.0.0.0", "::")  # noqa: S104  # names of listeners, nothing is bound here
_HTTP = frozenset({"http/1.0", "http/1.1", "h2c"})
"""What the listener filter http_inspector finds in plain HTTP."""


def listener_of(dump: ProxyDump, address: str, port: int) -> Part | None:
    """Return the listener of an address and port: its own, or that of all addresses, or the sidecar's catch-all."""
    for name in (address, *ANY_ADDRESS):
        if name and (listener := dump.listener(f"{name}_{port}") or dump.listener(f"[{name}]_{port}")):
            return listener
    return dump.listener(CATCH_ALL)


def chains_of(listener: Part) -> list[Part]:
    """Return the filter chains of a listener, the default one last."""
    default = listener.get("default_filter_chain")
    return [*(listener.get("filter_chains") or []), *([default] if default else [])]


def chain_of(listener: Part, *, address: str, port: int, server_name: str, tls: bool, http: bool) -> Part | None:
    """Return the most specific filter chain that matches a connection; None where none does.

    `server_name` is the SNI of the client's TLS, `http` whether its first bytes are plain HTTP.
    """
    best: Part | None = None
    best_rank: tuple[int, ...] = (-1,)
    for chain in listener.get("filter_chains") or []:
        rank = _rank(chain.get("filter_chain_match") or {}, address, port, server_name, tls=tls, http=http)
        if rank is not None and rank > best_rank:
            best, best_rank = chain, rank
    return best or listener.get("default_filter_chain")


def _rank(
    match: Part, address: str, port: int, server_name: str, *, tls: bool, http: bool
) -> tuple[int, int, int, int, int] | None:
    """Return how specific a match is, in Envoy's order of its fields; None where it does not match."""
    wanted_port = match.get("destination_port")
    if wanted_port is not None and wanted_port != port:
        return None
    prefix = _prefix_length(match, address)
    name = _name_length(match, server_name if tls else "")
    transport = match.get("transport_protocol") or ""
    protocols = set(match.get("application_protocols") or ())
    if prefix is None or name is None or (transport and transport != ("tls" if tls else "raw_buffer")):
        return None
    if protocols and not (http and not tls and protocols & _HTTP):
        return None
    return int(wanted_port is not None), prefix, name, int(bool(transport)), int(bool(protocols))


def _prefix_length(match: Part, address: str) -> int | None:
    ranges = match.get("prefix_ranges") or []
    if not ranges:
        return 0
    longest = longest_prefix(ranges, address)
    return None if longest is None else longest + 1


def longest_prefix(ranges: Iterable[Part], address: str) -> int | None:
    """Return the length of the longest of Envoy's CIDR ranges that has an address; None where none has it."""
    try:
        own = ipaddress.ip_address(address)
    except ValueError:
        return None
    networks = (
        ipaddress.ip_network(f"{each['address_prefix']}/{each.get('prefix_len', 0)}", strict=False) for each in ranges
    )
    return max((network.prefixlen for network in networks if own in network), default=None)


def _name_length(match: Part, server_name: str) -> int | None:
    names = match.get("server_names") or []
    if not names:
        return 0
    lengths = [
        len(name) * 2 + (not name.startswith("*"))
        for name in names
        if server_name and (name in (server_name, "*") or (name.startswith("*.") and server_name.endswith(name[1:])))
    ]
    return max(lengths) if lengths else None


def ends_mesh_tls(chain: Part) -> bool:
    """Whether a filter chain ends TLS with the workload's own certificate, and requires one of the client."""
    context = (chain.get("transport_socket") or {}).get("typed_config") or {}
    certificates = (context.get("common_tls_context") or {}).get("tls_certificate_sds_secret_configs") or []
    own = any(each.get("name") == "default" for each in certificates)
    return own and bool(context.get("require_client_certificate"))


def filters_of(chain: Part | None) -> Iterator[Part]:
    """Yield the network filters of a chain: their typed configuration, with the filter's name as `filter_name`."""
    for entry in (chain or {}).get("filters") or []:
        yield {**(entry.get("typed_config") or {}), "filter_name": entry.get("name", "")}


def http_manager(chain: Part | None) -> Part | None:
    """Return the chain's HTTP connection manager, None where it has none."""
    return next(
        (each for each in filters_of(chain) if str(each.get("@type", "")).endswith("HttpConnectionManager")), None
    )


def tcp_clusters(chain: Part | None) -> tuple[str, ...]:
    """Return the clusters of a chain's TCP proxy."""
    for settings in filters_of(chain):
        if str(settings.get("@type", "")).endswith("TcpProxy"):
            weighted: list[dict[str, Any]] = (settings.get("weighted_clusters") or {}).get("clusters") or []
            return (
                (str(settings["cluster"]),) if "cluster" in settings else tuple(str(each["name"]) for each in weighted)
            )
    return ()


def tcp_idle_timeout(chain: Part | None) -> str:
    """Return the idle timeout of a chain's TCP proxy, empty without one of its own."""
    proxies = (each for each in filters_of(chain) if str(each.get("@type", "")).endswith("TcpProxy"))
    return str(next((each["idle_timeout"] for each in proxies if "idle_timeout" in each), ""))


def sniffs(listener: Part) -> bool:
    """Whether a listener waits for the client's first bytes to tell HTTP from other protocols."""
    return any("http_inspector" in str(each.get("name", "")) for each in listener.get("listener_filters") or [])
