"""What the external server is expected to receive of a probe."""

import pytest

from pytest_istio_egress import Probe, get, tcp
from pytest_istio_egress.model.sent_request import CLIENTS_PROTOCOL, sent_request

PLAIN = {
    "host": "api.test", "method": "GET", "path": "/headers", "port": "8080", "protocol": "HTTP/1.1",
    "server-name": None,
}  # fmt: skip


@pytest.mark.parametrize(
    ("probe", "different"),
    [
        (get("http://api.test/headers"), {}),
        (get("http://api.test"), {"path": "/"}),
        (get("http://api.test/status/503?counted"), {"path": "/status/503?counted"}),
        (get("http://api.test:8081/headers"), {"host": "api.test:8081", "port": "8081"}),
        (tcp("api.test", 9000), {"host": "api.test:9000", "port": "9000"}),
        (get("http://gateway.test/headers", headers={"Host": "api.test"}), {}),
        (get("http://gateway.test/headers", arguments=["-H", "host:api.test"]), {}),
        (get("http://api.test/headers", arguments=["--http1.0"]), {"protocol": "HTTP/1.0"}),
        (get("http://api.test/headers", arguments=["--http2-prior-knowledge"]), {"protocol": "HTTP/2.0"}),
        (
            get("https://api.test/headers"),
            {"port": "8443", "protocol": CLIENTS_PROTOCOL, "server-name": "api.test"},
        ),
    ],
    ids=lambda value: value.url if isinstance(value, Probe) else "",
)
def test_external_server_receives_the_request_as_curl_sends_it(probe: Probe, different: dict[str, str]) -> None:
    assert sent_request(probe) == PLAIN | different


def test_nothing_is_derived_from_raw_bytes() -> None:
    assert sent_request(get("gopher://api.test:9000/_bytes")) == {}
