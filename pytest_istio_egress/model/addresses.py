"""IP addresses as text: one form of an address, and of address:port, for both families.

Envoy, curl, nginx and Kubernetes each write an IPv6 address in their own way; two texts of one address must be equal.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

IPV4, IPV6 = "IPv4", "IPv6"
"""The families, as Kubernetes names them in `ipFamilies`."""
_WRITTEN_IN_TESTS = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)
"""The ranges that are reserved for documentation, from which tests take their addresses."""


def same_form(address: str) -> str:
    """Return an address in its shortest form, an IPv4 address mapped into IPv6 as IPv4; any other text as it is.

    A server that listens for both families on one socket sees 10.244.0.9 as ::ffff:10.244.0.9.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = parsed.ipv4_mapped if isinstance(parsed, ipaddress.IPv6Address) else None
    return str(mapped or parsed)


def is_address(host: str) -> bool:
    """Whether a host is an IP address, without brackets."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_within(address: str, ranges: Iterable[str]) -> bool:
    """Whether one of some addresses or ranges has an address; raises ValueError where one cannot be read."""
    own = ipaddress.ip_address(address)
    return any(own in ipaddress.ip_network(each, strict=False) for each in ranges)


def is_ipv6(host: str) -> bool:
    """Whether a host is an IPv6 address, without brackets."""
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def is_assigned(host: str) -> bool:
    """Whether a host is an address that a cluster assigned, and not one that tests are written with."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return not address.is_loopback and not any(address in network for network in _WRITTEN_IN_TESTS)


def family_of(address: str) -> str:
    """Return the family of an address, as Kubernetes names it."""
    return IPV6 if is_ipv6(address) else IPV4


def bracketed(host: str) -> str:
    """Return a host as URLs and curl's options have it: an IPv6 address in brackets."""
    return f"[{host}]" if is_ipv6(host) else host


def with_port(address: str, port: int | str) -> str:
    """Return address:port as Envoy writes it: 10.244.0.9:41000 or [fd00::9]:41000."""
    return f"{bracketed(same_form(address))}:{port}"


def without_port(endpoint: str) -> str:
    """Return the address of an address:port; of any other text, all before its last colon."""
    return same_form(endpoint.rpartition(":")[0].removeprefix("[").removesuffix("]"))


def split_endpoint(endpoint: str) -> tuple[str, int] | None:
    """Return address and port of an address:port; None for any other text, such as Envoy's `-`."""
    address, colon, port = endpoint.rpartition(":")
    if not colon or not port.isdigit():
        return None
    return same_form(address.removeprefix("[").removesuffix("]")), int(port)


def same_endpoint(endpoint: str) -> str:
    """Return address:port in one form; any other text as it is."""
    parts = split_endpoint(endpoint)
    return with_port(*parts) if parts else endpoint
