"""The entry has the host's address: HTTP is routed by the Host header, whatever address the client connects to.

curl (to 198.51.100.7, no server there) -> sidecar, by the Host header -> the entry's endpoint
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, reached

NOWHERE = "198.51.100.7"


@documented(
    source="reference/config/networking/service-entry/",
    summary="A listed host is reached with TLS at its own address, and with HTTP at any address by its Host header",
    outcomes=["service-entry/any-address-routed-by-host"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("https://made-up.test/headers"),
            reached(),
            id="tls-to-the-real-address",
        ),
        pytest.param(
            get("http://made-up.test/headers", to=NOWHERE),
            reached(),
            id="http-to-an-unrelated-address",
        ),
        pytest.param(
            get("http://not-listed-made-up.test/headers", to=NOWHERE), blocked_http(), id="another-host-there"
        ),
    ],
)
def test_http_to_unrelated_address_routed_by_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
