"""A proxy that a probe's arguments name: curl connects to it, and the request is diagnosed by its host and port."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from failures import CLIENT, CURL, HOST, LINE, configuration, entry, http_dump, resource

from pytest_istio_egress import answered, get, workload
from pytest_istio_egress.model.client_proxy import ClientProxy, client_proxy
from pytest_istio_egress.pipeline.request_at_proxy import at_sidecar
from pytest_istio_egress.verdict.analysis.hosts import why_unknown
from pytest_istio_egress.verdict.analysis.mismatches import why_not_taken
from pytest_istio_egress.verdict.proxy_path import RequestAtProxy, path_of
from pytest_istio_egress.verdict.verdict import Exchange

PROXY = "http://proxy.test:3128"
AT_PROXY = replace(CLIENT, host="proxy.test", port=3128, by_proxy=True)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("-x", PROXY), ClientProxy("http", "proxy.test", 3128)),
        (("-xproxy.test:3128",), ClientProxy("http", "proxy.test", 3128)),
        (("--proxy", "proxy.test"), ClientProxy("http", "proxy.test", 1080)),
        (("--proxy", "https://u:p@proxy.test/"), ClientProxy("https", "proxy.test", 443)),
        (("--proxy", "socks5h://proxy.test:1081"), ClientProxy("socks5h", "proxy.test", 1081)),
        (("--socks5-hostname", "proxy.test:1081"), ClientProxy("socks5h", "proxy.test", 1081)),
        (("--socks4", "[2001:db8::1]"), ClientProxy("socks4", "2001:db8::1", 1080)),
        (("-x", PROXY, "--proxytunnel"), ClientProxy("http", "proxy.test", 3128, tunnels=True)),
        (("-x", "a.test:1", "-x", PROXY), ClientProxy("http", "proxy.test", 3128)),
        (("--preproxy", "socks5://first.test:1", "-x", PROXY), ClientProxy("socks5", "first.test", 1)),
        (("--proxy", ""), None),
        (("--header", "X-A: -x"), None),
    ],
)
def test_proxy_is_read_from_the_arguments(arguments: tuple[str, ...], named: ClientProxy | None) -> None:
    assert client_proxy(arguments) == named
    probe = get(f"http://{HOST}/", arguments=arguments)
    assert probe.destination == ((named.host, named.port) if named else (HOST, 80))
    assert ("--noproxy" in probe.command("agent", "1-2")) is (named is None)


def test_value_that_is_no_proxy_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="invalid proxy --proxy http://:3128"):
        get(f"http://{HOST}/", arguments=("--proxy", "http://:3128"))


def test_address_of_a_probe_is_that_of_its_proxy() -> None:
    client = workload("deployment/payments", namespace="payments")
    probe = get(f"https://{HOST}/", client=client, to="192.0.2.90", arguments=("-x", PROXY))
    assert probe.resolve() == ("--resolve", "proxy.test:3128:192.0.2.90")
    assert answered().for_probe(probe).cluster == "outbound|3128||proxy.test"


def received(url: str, *arguments: str) -> RequestAtProxy:
    sent: dict[str, Any] = {"command": ("curl", *arguments, url), "kubectl_command": "", "began": 0.0, "addresses": {}}
    curl = replace(CURL, remote_address="192.0.2.90")
    probe = get(url, arguments=arguments)
    return at_sidecar(Exchange(probe=probe, sidecar=None, gateway=None, curl=curl, **sent), AT_PROXY)


@pytest.mark.parametrize(
    ("url", "proxy", "authority", "method", "spoken"),
    [
        (f"http://{HOST}/v1", PROXY, HOST, "GET", "HTTP"),
        (f"http://{HOST}:81/v1", PROXY, f"{HOST}:81", "GET", "HTTP"),
        (f"https://{HOST}/v1", PROXY, f"{HOST}:443", "CONNECT", "HTTP"),
        (f"https://{HOST}/v1", "https://proxy.test:3128", f"{HOST}:443", "CONNECT", "TLS"),
        (f"https://{HOST}/v1", "socks5h://proxy.test:3128", f"{HOST}:443", "CONNECT", ""),
    ],
)
def test_sidecar_receives_what_the_client_sends_to_its_proxy(
    url: str, proxy: str, authority: str, method: str, spoken: str
) -> None:
    request = received(url, "-x", proxy)
    assert (request.address, request.port) == ("192.0.2.90", 3128)
    assert (request.authority, request.method, request.spoken) == (authority, method, spoken)
    assert request.server_name == ("proxy.test" if spoken == "TLS" else "")


def of_proxy(protocol: str = "TCP", port: int = 3128, **spec: Any) -> Any:
    ports = [{"number": port, "name": "proxy", "protocol": protocol}]
    return resource("ServiceEntry", "proxy", **{"hosts": ["proxy.test"], "ports": ports, **spec})


@pytest.mark.parametrize(
    ("entries", "text"),
    [
        ([entry()], "no ServiceEntry lists proxy.test"),
        ([of_proxy(port=8080)], "ServiceEntry proxy in client defines proxy.test for port 8080, not for 3128"),
        ([of_proxy()], ""),
    ],
)
def test_unknown_host_is_that_of_the_proxy(entries: Any, text: str) -> None:
    assert why_unknown(configuration(entries=entries), AT_PROXY) == text


@pytest.mark.parametrize(("protocol", "is_named"), [("HTTP", True), ("TCP", False)])
def test_port_of_a_proxy_that_is_declared_as_http_is_named(protocol: str, *, is_named: bool) -> None:
    taken = path_of(http_dump(listener="0.0.0.0_3128"), received(f"https://{HOST}/v1", "-x", PROXY))
    why = why_not_taken(configuration(entries=[of_proxy(protocol)]), AT_PROXY, taken, "192.0.2.90")
    stated = "ServiceEntry proxy in client declares port 3128 as HTTP, so the sidecar routes by the host"
    assert (stated in why) is is_named
    assert not is_named or f"(CONNECT {HOST}:443)" in why


@pytest.mark.parametrize(("address", "known"), [("192.0.2.90", True), ("192.0.2.91", False)])
def test_host_that_is_an_address_is_known_by_the_addresses_of_an_entry(address: str, *, known: bool) -> None:
    given = configuration(entries=[of_proxy(addresses=["192.0.2.90/32"])])
    why = why_unknown(given, replace(AT_PROXY, host=address))
    assert why == ("" if known else f"no ServiceEntry lists {address} among its hosts or addresses")


def test_line_of_the_sidecar_keeps_its_authority() -> None:
    line = replace(LINE, downstream_local="192.0.2.90:3128", authority=f"{HOST}:443", method="CONNECT")
    sent: dict[str, Any] = {"command": (), "kubectl_command": "", "began": 0.0, "addresses": {}}
    probe = get(f"https://{HOST}/", arguments=("-x", PROXY))
    request = at_sidecar(Exchange(probe=probe, sidecar=line, gateway=None, curl=CURL, **sent), AT_PROXY)
    assert (request.authority, request.method, request.address) == (f"{HOST}:443", "CONNECT", "192.0.2.90")
