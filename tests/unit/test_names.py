"""Reserved names in manifests are rendered as names of the run, and back."""

import pytest

from pytest_istio_egress.cluster.names import Addresses, Names, UnknownAddressError

NAMES = Names("k3x9q", "gw1", Addresses({"192.0.2.80": "10.96.17.4", "192.0.2.8": "10.96.17.5"}))


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
    ],
)  # fmt: skip
def test_reserved_name_is_rendered_and_unrendered(written: str, real: str) -> None:
    assert NAMES.render(written) == real
    assert NAMES.unrender(real) == written


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


def test_unknown_address_is_an_error_with_the_choices() -> None:
    with pytest.raises(UnknownAddressError, match=r"192\.0\.2\.99.*192\.0\.2\.80"):
        NAMES.render("192.0.2.99")


def test_two_runs_never_share_a_name() -> None:
    other = Names("zzzzz", "gw1")
    for name in ("egress-client", "egress-outside", "api.test"):
        assert NAMES.render(name) != other.render(name)
