"""The proxy that a probe's own curl arguments name: curl connects to it, and not to the URL's host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

_OF_OPTION = {
    "-x": "http",
    "--proxy": "http",
    "--proxy1.0": "http",
    "--socks4": "socks4",
    "--socks4a": "socks4a",
    "--socks5": "socks5",
    "--socks5-hostname": "socks5h",
}
"""The options of curl that name a proxy, and its protocol where the value states none."""
_FIRST = "--preproxy"
"""The option for the proxy before the proxy: where it is given, curl connects to this one."""
_TUNNELS = frozenset({"-p", "--proxytunnel"})
_PORT, _TLS_PORT = 1080, 443
"""curl's ports of a proxy whose value states none; the second one is that of https://."""


@dataclass(frozen=True)
class ClientProxy:
    """A proxy between the client and the URL's host."""

    scheme: str
    """http, https, socks4, socks4a, socks5 or socks5h."""
    host: str
    port: int
    tunnels: bool = False
    """Whether curl asks an HTTP proxy for a tunnel (CONNECT) also where the URL's scheme is http."""


def client_proxy(arguments: Sequence[str]) -> ClientProxy | None:
    """Return the proxy that curl connects to by its arguments, the last one where several are named; else None.

    Raises ValueError where the value is no proxy.
    """
    named = [(option, value) for option, value in _options(arguments) if option in _OF_OPTION and value]
    first = [(option, value) for option, value in _options(arguments) if option == _FIRST and value]
    if not named and not first:
        return None
    option, value = (first or named)[-1]
    stated = urlsplit(value if "://" in value else f"{_OF_OPTION.get(option, 'socks4')}://{value}")
    if not stated.hostname:
        raise ValueError(f"invalid proxy {option} {value}: use [http://]HOST[:PORT]")
    port = stated.port or (_TLS_PORT if stated.scheme == "https" else _PORT)
    return ClientProxy(stated.scheme, stated.hostname, port, tunnels=bool(_TUNNELS & set(arguments)))


def _options(arguments: Sequence[str]) -> list[tuple[str, str]]:
    """Return curl's options with the argument after each; `-xVALUE` is `-x VALUE`."""
    words: list[str] = []
    for argument in arguments:
        words += ["-x", argument.removeprefix("-x")] if argument.startswith("-x") else [argument]
    words = [word for word in words if word]
    return list(pairwise(words))
