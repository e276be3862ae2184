"""Renders the addresses of manifests as those of the run, in the family of its cluster, and back.

Manifests are written with IPv4 addresses:

                                                IPv4                 IPv6
    192.0.2.80          an external server      10.96.17.4           fd00:10:96::11:4
    192.0.2.80/32       a range                 10.96.17.4/32        fd00:10:96::11:4/128
    http://192.0.2.80/  a URL                   http://10.96.17.4/   http://[fd00:10:96::11:4]/
    198.51.100.7        an address of nobody    as written           2001:db8::c633:6407
    240.0.0.80          one without a route     as written           2001:db8::f000:50
    127.0.0.1           a pod's loopback        as written           ::1
    0.0.0.0             any of its addresses    as written           ::

On a dual-stack cluster 192.0.2.80 is the server's address in the cluster's first family, and 2001:db8::80 the one in
its second family. Istio's names of listeners keep 0.0.0.0 there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence

from pytest_istio_egress.model.addresses import IPV6, bracketed, is_ipv6
from pytest_istio_egress.model.case import InvalidTestError

RESERVED = "192.0.2."
"""What the external servers' addresses in the cluster's first family begin with in manifests."""
RESERVED_SECOND = "2001:db8::"
"""The same for the second family of a dual-stack cluster."""

_WRITTEN = re.compile(
    r"(?P<address>(?<![\d.])(?:192\.0\.2\.\d{1,3}|198\.51\.100\.\d{1,3}|240\.0\.0\.\d{1,3}|127\.0\.0\.1|0\.0\.0\.0)(?!\d|\.\d)"
    r"|\[2001:db8::\d{1,3}\]|(?<![\w:])2001:db8::\d{1,3}(?!\w|:\w))"
    r"(?:/(?P<length>\d{1,3}))?"
)
_OF_NOBODY = ("198.51.100.", "240.0.0.")
_OF_NOBODY_IN_IPV6 = re.compile(r"\[?2001:db8::([0-9a-f]{4}):([0-9a-f]{1,4})\]?(?:/(\d+))?")
_WIDTHS = 128 - 32
_END_OF_IPV6 = r"(?![0-9A-Fa-f]|:[0-9A-Fa-f:])"


class UnknownAddressError(InvalidTestError):
    """A manifest or probe uses a reserved address that no external server has."""


class Addresses(Mapping[str, str]):
    """The addresses of external servers by the reserved ones; empty before the servers exist."""

    def __init__(self, addresses: Mapping[str, str] | None = None) -> None:
        self._addresses: Mapping[str, str] = dict(addresses or {})

    def update(self, addresses: Mapping[str, str]) -> None:
        """Replace all addresses atomically: other threads render with either the old or the new ones."""
        self._addresses = dict(addresses)

    def __getitem__(self, reserved: str) -> str:
        """Return the address for a reserved one."""
        return self._addresses[reserved]

    def __iter__(self) -> Iterator[str]:
        """Yield the reserved addresses."""
        return iter(self._addresses)

    def __len__(self) -> int:
        """Return the number of addresses."""
        return len(self._addresses)

    def render(self, text: str, families: Sequence[str]) -> str:
        """Replace every address that manifests may use, for a cluster of these families, the first one first."""

        def replaced(match: re.Match[str]) -> str:
            in_brackets = match["address"].startswith("[")
            written = match["address"].strip("[]")
            real = self._real(written, families)
            length = f"/{match['length']}" if match["length"] else ""
            in_url = text[: match.start()].endswith("//")
            if length and not in_url:
                return f"{real}/{_other_width(int(match['length']), written, real)}"
            with_port = text[: match.start()].endswith(":") or re.match(r":\d", text[match.end() :])
            return (bracketed(real) if in_url or with_port or in_brackets else real) + length

        return _WRITTEN.sub(replaced, text)

    def unrender(self, text: str, families: Sequence[str]) -> str:
        """Undo `render`."""
        for reserved, address in self.items():
            text = _put_back(text, reserved, address)
        if tuple(families) == (IPV6,):
            text = _OF_NOBODY_IN_IPV6.sub(_as_ipv4, text)
            text = _put_back(text, "127.0.0.1", "::1")
            text = re.sub(r"\[::\](?=:\d)|(?<![\w:])::(?=_\d)", "0.0.0.0", text)  # noqa: S104  # no socket
        return text

    def _real(self, written: str, families: Sequence[str]) -> str:
        if written.startswith((RESERVED, RESERVED_SECOND)):
            return self._of_server(written)
        if tuple(families) != (IPV6,):
            return written
        if written.startswith(_OF_NOBODY):
            return str(ipaddress.IPv6Address(int(ipaddress.IPv6Address(RESERVED_SECOND)) + int(_ipv4(written))))
        return "::1" if written == "127.0.0.1" else "::"

    def _of_server(self, reserved: str) -> str:
        try:
            return self[reserved]
        except KeyError:
            choices = ", ".join(sorted(self)) or "none"
            raise UnknownAddressError(
                f"unknown external server address {reserved} (choose from {choices}; see fixtures/outside.yaml)"
            ) from None


def _as_ipv4(match: re.Match[str]) -> str:
    address = str(ipaddress.IPv4Address(int(match[1], 16) << 16 | int(match[2], 16)))
    if not address.startswith(_OF_NOBODY):
        return match[0]
    return address + (f"/{int(match[3]) - _WIDTHS}" if match[3] else "")


def _ipv4(address: str) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(address)


def _other_width(length: int, written: str, real: str) -> int:
    """Return the length of a prefix that leaves as many bits to the hosts in the other family."""
    return max(0, length + _WIDTHS * (is_ipv6(real) - is_ipv6(written))) if length else 0


def _put_back(text: str, reserved: str, address: str) -> str:
    """Replace an address by the reserved one, with its port or the length of its prefix."""
    if not is_ipv6(address):
        pattern = rf"(?<![\d.]){re.escape(address)}(?:/(?P<length>\d+)\b)?(?!\d|\.\d)"
    else:
        escaped = re.escape(address)
        bare = rf"(?<![\w:.\[]){escaped}(?:/(?P<length>\d+)\b)?{_END_OF_IPV6}"
        pattern = rf"\[{escaped}\]|{bare}"

    def replaced(match: re.Match[str]) -> str:
        length = match["length"]
        if length and not text[: match.start()].endswith("//"):
            return f"{reserved}/{_other_width(int(length), address, reserved)}"
        shown = bracketed(reserved) if match[0].startswith("[") else reserved
        return shown + (f"/{length}" if length else "")

    return re.sub(pattern, replaced, text)
