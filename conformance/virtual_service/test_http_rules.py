"""HTTP rules of a VirtualService for an external host: aborts, delays, retries, headers.

curl -> sidecar: the route by its path, with its rules -> outside
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, reached

CLUSTER = outbound("http-rules.test")
SENT = {"x-set": "by-client", "x-added": "by-client", "x-removed": "by-client"}


@documented(
    source="reference/config/networking/virtual-service/",
    summary="Fault injection, retries and header rules of a VirtualService apply to requests to an external host",
    outcomes=["virtual-service/faults-retries-headers"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://http-rules.test/anything/plain", headers=SENT),
            reached(
                route="plain",
                request_headers={**SENT, "x-envoy-attempt-count": "1"},
                response_headers={"x-answer": None, "x-outside-port": "*"},
            ),
            id="control-without-rules",
        ),
        pytest.param(
            get("http://http-rules.test/anything/abort"),
            Outcome(status=418, flags="FI", details="fault_filter_abort", route="abort"),
            id="abort",
        ),
        pytest.param(
            get("http://http-rules.test/anything/delay"),
            reached(flags="DI", route="delay", seconds=1.0),
            id="delay",
        ),
        pytest.param(
            get("http://http-rules.test/status/503"),
            reached(status=503, flags="URX", details="via_upstream", route="retried"),
            id="retries",
        ),
        pytest.param(
            get("http://http-rules.test/anything/retried"),
            reached(
                flags="URX",
                details="via_upstream",
                route="counted",
                request_headers={"x-envoy-attempt-count": "3"},
            ),
            id="retries-counted-outside",
        ),
        pytest.param(
            get("http://http-rules.test/anything/headers", headers=SENT),
            reached(
                route="headers",
                request_headers={"x-set": "by-rule", "x-added": "by-client, by-rule", "x-removed": None},
                response_headers={"x-answer": "by-rule", "x-outside-port": None},
                server_saw={"port": None},  # reported in the header that the rule removes
            ),
            id="headers",
        ),
    ],
)
def test_http_rules_apply_to_external_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="With attempts 2 a failed request is sent three times",
    manifests=["http_rules.yaml"],
    requires=["http-1.1-upstream"],
    outcomes=["virtual-service/faults-retries-headers"],
)
def test_failed_request_retried_as_configured(egress: Egress) -> None:
    answered = reached(status=503, flags="URX", details="via_upstream", cluster=CLUSTER, route="retried")
    expect_sent(egress, "http://http-rules.test/status/503", answered, times=3)


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="Without a retry rule for its status, a failed request is sent once",
    manifests=["http_rules.yaml"],
    requires=["default-retries", "http-1.1-upstream"],
    outcomes=["virtual-service/faults-retries-headers"],
)
def test_failed_request_without_retry_rule_sent_once(egress: Egress) -> None:
    answered = reached(status=500, flags="-", details="via_upstream", cluster=CLUSTER, route="plain")
    expect_sent(egress, "http://http-rules.test/status/500", answered, times=1)


def expect_sent(egress: Egress, url: str, answered: Outcome, times: int) -> None:
    # The first request waits for the rules: until they arrive it is retried as before, so it is not counted.
    egress.expect(get(url), answered)
    name = egress.in_cluster(CLUSTER)
    before = egress.config().requests(name)
    verdict = egress.expect(get(f"{url}?counted"), answered)
    after = egress.config().requests(name)
    egress.check("requests that the cluster sent to its endpoint", (after - before) / verdict.attempts, times)
