"""A request as the sidecar and the gateway receive it, from curl's result and the lines of their logs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from failures import CLIENT, CURL, GATEWAY_POD, HOST, LINE, SIMPLE_TLS, TO_EXIT, TO_GATEWAY, cluster, http_dump, route

from pytest_istio_egress import get
from pytest_istio_egress.pipeline.request_at_proxy import at_gateway, at_sidecar
from pytest_istio_egress.verdict.proxy_path import path_of
from pytest_istio_egress.verdict.verdict import Exchange


def exchange(url: str = f"http://{HOST}/", **more: Any) -> Exchange:
    values: dict[str, Any] = {"sidecar": LINE, "gateway": None, "curl": CURL, "command": (), **more}
    addresses = {"gateway": frozenset({GATEWAY_POD})}
    return Exchange(probe=get(url), kubectl_command="", began=0.0, addresses=addresses, **values)


def test_plain_http_has_its_authority_path_and_address() -> None:
    request = at_sidecar(exchange(f"http://{HOST}/v1?a=b"), CLIENT)
    assert (request.address, request.port, request.http, request.tls) == ("192.0.2.80", 80, True, False)
    assert (request.authority, request.path) == (HOST, "/v1?a=b")


def test_tls_has_a_server_name_and_is_not_http_for_the_sidecar() -> None:
    line = replace(LINE, downstream_local="192.0.2.80:443", authority="-")
    request = at_sidecar(exchange(f"https://{HOST}/", sidecar=line), replace(CLIENT, port=443))
    assert (request.tls, request.http, request.server_name) == (True, False, HOST)


def test_authority_of_an_ipv6_address_has_brackets() -> None:
    request = at_sidecar(
        exchange("http://[2001:db8::50]:8080/", sidecar=None), replace(CLIENT, host="2001:db8::50", port=8080)
    )
    assert request.authority == "[2001:db8::50]:8080"


@pytest.mark.parametrize("line", [None, replace(LINE, downstream_local=None)])
def test_without_an_address_in_the_log_curls_counts(line: Any) -> None:
    request = at_sidecar(exchange(sidecar=line), CLIENT)
    assert (request.address, request.port) == (CURL.remote_address, 80)


def test_header_that_curl_was_told_to_send_is_the_authority() -> None:
    sent = exchange(command=("curl", "--header", "Host: other.test", "--header", "X-Team: payments"))
    request = at_sidecar(sent, CLIENT)
    assert request.authority == "other.test"
    assert request.headers == {"x-team": "payments"}


def test_gateway_receives_the_servers_name_of_the_sidecars_tls() -> None:
    sent = exchange(sidecar=TO_GATEWAY)
    own = path_of(http_dump([route(TO_EXIT)], [cluster(TO_EXIT, **SIMPLE_TLS)]), at_sidecar(sent, CLIENT))
    received = at_gateway(sent, CLIENT, own)
    assert received is not None
    assert (received.address, received.port) == (GATEWAY_POD, 8080)
    assert (received.tls, received.server_name) == (True, "partner.test")


def test_request_that_the_sidecar_sent_elsewhere_is_none_at_the_gateway() -> None:
    assert at_gateway(exchange(), CLIENT, None) is None
    assert at_gateway(exchange(sidecar=None), CLIENT, None) is None
