"""The head of a request, its request line and headers: up to 60 KiB are forwarded, more gets 431 from the sidecar.

curl (a request line of 9 KiB) -> sidecar -> outside
     (headers of 63 KiB)       -> sidecar: 431 (DPE)
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached

PAGE = (
    "https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/network/http_connection_manager/v3/"
    "http_connection_manager.proto"
)
URL = "http://long-head.test:47811/anything"
KIB = 1024
OF_HEADER = 7 * KIB
"""The length of one header; the limits of external servers are above that, and below the proxy's 60 KiB in all."""


def long_headers(count: int) -> dict[str, str]:
    return {f"x-long-{number}": "a" * OF_HEADER for number in range(count)}


@documented(
    source=PAGE,
    summary="A request whose head is longer than 60 KiB gets 431 from the sidecar; a shorter one is forwarded",
    outcomes=["service-entry/long-head-431"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(URL, headers=long_headers(1)), reached(), id="headers-of-7-kib"),
        pytest.param(get(URL, headers=long_headers(9)), Outcome(status=431, flags="DPE"), id="headers-of-63-kib"),
    ],
)
def test_head_longer_than_60_kib_refused(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="A request line longer than 8 KiB, up to 60 KiB, is recognized as HTTP and forwarded",
    manifests=["request_head.yaml"],
    # Before Envoy 1.34 such a request was never recognized as HTTP, and hung (envoyproxy/envoy#37002).
    min_istio="1.26",
    outcomes=["service-entry/long-head-431"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(f"{URL}?long={'a' * 7 * KIB}"), reached(), id="of-7-kib"),
        pytest.param(get(f"{URL}?long={'a' * 9 * KIB}"), reached(), id="of-9-kib"),
    ],
)
def test_long_request_line_forwarded(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
