"""Addresses of both families have one form, alone and with a port."""

import pytest

from pytest_istio_egress.model.addresses import (
    bracketed,
    family_of,
    is_assigned,
    same_endpoint,
    same_form,
    with_port,
    without_port,
)


@pytest.mark.parametrize(
    ("written", "form"),
    [
        ("10.244.0.9", "10.244.0.9"),
        ("fd00:0:0::9", "fd00::9"),
        ("FD00::9", "fd00::9"),
        ("fd00:0:1:0:0:0:0:9", "fd00:0:1::9"),
        ("::ffff:10.244.0.9", "10.244.0.9"),
        ("api.test", "api.test"),
        ("", ""),
    ],
)
def test_address_has_one_form(written: str, form: str) -> None:
    assert same_form(written) == form


@pytest.mark.parametrize(
    ("written", "form", "address"),
    [
        ("10.244.0.9:41000", "10.244.0.9:41000", "10.244.0.9"),
        ("[fd00::9]:41000", "[fd00::9]:41000", "fd00::9"),
        ("[fd00:0:0:0:0:0:0:9]:41000", "[fd00::9]:41000", "fd00::9"),
        ("[::ffff:10.244.0.9]:41000", "10.244.0.9:41000", "10.244.0.9"),
        ("api.test:80", "api.test:80", "api.test"),
    ],
)
def test_address_with_port_has_one_form(written: str, form: str, address: str) -> None:
    assert same_endpoint(written) == form
    assert without_port(written) == address
    assert with_port(address, form.rpartition(":")[2]) == form


@pytest.mark.parametrize("text", ["-", "", "envoy://internal_client_address/", "/var/run/socket"])
def test_text_that_is_no_endpoint_stays(text: str) -> None:
    assert same_endpoint(text) == text


@pytest.mark.parametrize(
    ("host", "in_url", "family"),
    [("10.0.0.1", "10.0.0.1", "IPv4"), ("fd00::9", "[fd00::9]", "IPv6"), ("api.test", "api.test", "IPv4")],
)
def test_only_ipv6_has_brackets(host: str, in_url: str, family: str) -> None:
    assert bracketed(host) == in_url
    assert family_of(host) == family


@pytest.mark.parametrize(
    ("host", "assigned"),
    [
        ("10.96.118.91", True),
        ("fd00:10:96::7", True),
        ("192.0.2.80", False),
        ("198.51.100.7", False),
        ("203.0.113.1", False),
        ("2001:db8::80", False),
        ("127.0.0.1", False),
        ("::1", False),
        ("api.test", False),
    ],
)
def test_address_that_tests_are_not_written_with_is_assigned(host: str, assigned: bool) -> None:  # noqa: FBT001  # what is expected
    assert is_assigned(host) is assigned
