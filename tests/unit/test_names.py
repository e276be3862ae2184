"""Reserved names in manifests are rendered as names of the run, and back."""

import pytest

from pytest_istio_egress.cluster.address_names import Addresses, UnknownAddressError
from pytest_istio_egress.cluster.mesh_names import MeshNames
from pytest_istio_egress.cluster.names import Names

NAMES = Names("k3x9q", "gw1", Addresses({"192.0.2.80": "10.96.17.4", "192.0.2.8": "10.96.17.5"}))
ON_IPV6 = Names(
    "k3x9q",
    "gw1",
    Addresses({"192.0.2.80": "fd00:10:96::11:4", "192.0.2.8": "fd00:10:96::11:41"}),
    MeshNames(ip_families=("IPv6",)),
)
ON_BOTH = Names(
    "k3x9q",
    "gw1",
    Addresses({"192.0.2.80": "10.96.17.4", "2001:db8::80": "fd00:10:96::11:4"}),
    MeshNames(ip_families=("IPv4", "IPv6")),
)


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ("egress-client", "egress-client-k3x9q-gw1"),
        ("egress-outside", "egress-outside-k3x9q"),
        ("egress-neighbour/*", "egress-neighbour-k3x9q-gw1/*"),
        ("cluster.local/ns/egress-gateway/sa/exit", "cluster.local/ns/egress-gateway-k3x9q-gw1/sa/exit"),
        ("web.egress-client.svc.cluster.local", "web.egress-client-k3x9q-gw1.svc.cluster.local"),
        ("outbound|80||api.test", "outbound|80||api.k3x9q.test"),
        ("http://api.test:8081/x", "http://api.k3x9q.test:8081/x"),
        ("*.wild.test", "*.wild.k3x9q.test"),
        ("a.test,b.test", "a.k3x9q.test,b.k3x9q.test"),
        ("192.0.2.80", "10.96.17.4"),
        ("api.test:80:192.0.2.80", "api.k3x9q.test:80:10.96.17.4"),
        ("192.0.2.80/32", "10.96.17.4/32"),
        ("http://192.0.2.80/20", "http://10.96.17.4/20"),
        ("198.51.100.7 127.0.0.1 0.0.0.0_443", "198.51.100.7 127.0.0.1 0.0.0.0_443"),
    ],
)  # fmt: skip
def test_reserved_name_is_rendered_and_unrendered(written: str, real: str) -> None:
    assert NAMES.render(written) == real
    assert NAMES.unrender(real) == written


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ("192.0.2.80", "fd00:10:96::11:4"),
        ("192.0.2.80, 192.0.2.8", "fd00:10:96::11:4, fd00:10:96::11:41"),
        ("192.0.2.80/32", "fd00:10:96::11:4/128"),
        ("192.0.2.80/31", "fd00:10:96::11:4/127"),
        ("192.0.2.80/8", "fd00:10:96::11:4/104"),
        ("http://192.0.2.80/headers", "http://[fd00:10:96::11:4]/headers"),
        ("http://192.0.2.80:9000/headers", "http://[fd00:10:96::11:4]:9000/headers"),
        ("http://192.0.2.80/20", "http://[fd00:10:96::11:4]/20"),
        ("192.0.2.80:443", "[fd00:10:96::11:4]:443"),
        ("api.test:80:192.0.2.80", "api.k3x9q.test:80:[fd00:10:96::11:4]"),
        ("::198.51.100.7:80", "::[2001:db8::c633:6407]:80"),
        ("198.51.100.7", "2001:db8::c633:6407"),
        ("198.51.100.0/24", "2001:db8::c633:6400/120"),
        ("240.0.0.80", "2001:db8::f000:50"),
        ("127.0.0.1", "::1"),
        ("http://127.0.0.1:15001/", "http://[::1]:15001/"),
        ("0.0.0.0_443", "::_443"),
        ("0.0.0.0:8080", "[::]:8080"),
        ("connected to 192.0.2.80: reset", "connected to fd00:10:96::11:4: reset"),
    ],
)  # fmt: skip
def test_address_is_rendered_for_ipv6_and_unrendered(written: str, real: str) -> None:
    assert ON_IPV6.render(written) == real
    assert ON_IPV6.unrender(real) == written


@pytest.mark.parametrize(
    ("written", "real"),
    [
        ("192.0.2.80/32 2001:db8::80/128", "10.96.17.4/32 fd00:10:96::11:4/128"),
        ("http://[2001:db8::80]:9000/", "http://[fd00:10:96::11:4]:9000/"),
        ("api.test:80:[2001:db8::80]", "api.k3x9q.test:80:[fd00:10:96::11:4]"),
        ("198.51.100.7 127.0.0.1 0.0.0.0_443", "198.51.100.7 127.0.0.1 0.0.0.0_443"),
    ],
)
def test_dual_stack_has_an_address_of_each_family(written: str, real: str) -> None:
    assert ON_BOTH.render(written) == real
    assert ON_BOTH.unrender(real) == written


def test_second_family_first_exchanges_both() -> None:
    names = Names("k3x9q", "gw1", Addresses({"192.0.2.80": "fd00::4", "2001:db8::80": "10.96.17.4"}))
    assert names.render("http://[2001:db8::80]:9000/ 2001:db8::80/128") == "http://10.96.17.4:9000/ 10.96.17.4/32"
    assert names.render("http://192.0.2.80/ 192.0.2.80/32") == "http://[fd00::4]/ fd00::4/128"


def test_every_ipv4_range_is_every_ipv6_range() -> None:
    assert ON_IPV6.render("0.0.0.0/0") == "::/0"


def test_similar_addresses_are_not_unrendered() -> None:
    text = "fd00:10:96::11:4f 1fd00:10:96::11:4 fd00:10:96::11:4:1 std::1 a::_1 2001:db8::abcd:1"
    assert ON_IPV6.unrender(text) == text


@pytest.mark.parametrize(
    "text",
    ["my-egress-client", "egress-clients", "egress-client-other", "latest", "test", "api.testing", "1192.0.2.80"],
)
def test_other_name_stays(text: str) -> None:
    assert NAMES.render(text) == text


def test_manifest_is_rendered_including_keys() -> None:
    document = {"hosts": ["api.test", 80, None, True], "egress-client": {"a": "192.0.2.80"}}
    assert NAMES.render_manifest(document) == {
        "hosts": ["api.k3x9q.test", 80, None, True],
        "egress-client-k3x9q-gw1": {"a": "10.96.17.4"},
    }


def test_endpoint_slice_has_the_family_of_its_addresses() -> None:
    slice_ = {"kind": "EndpointSlice", "addressType": "IPv4", "endpoints": [{"addresses": ["192.0.2.80"]}]}
    assert NAMES.render_manifest(slice_)["addressType"] == "IPv4"
    on_ipv6 = ON_IPV6.render_manifest(slice_)
    assert (on_ipv6["addressType"], on_ipv6["endpoints"]) == ("IPv6", [{"addresses": ["fd00:10:96::11:4"]}])


def test_unknown_address_is_an_error_with_the_choices() -> None:
    with pytest.raises(UnknownAddressError, match=r"192\.0\.2\.99.*192\.0\.2\.80"):
        NAMES.render("192.0.2.99")


def test_two_runs_never_share_a_name() -> None:
    other = Names("zzzzz", "gw1")
    for name in ("egress-client", "egress-outside", "api.test"):
        assert NAMES.render(name) != other.render(name)
