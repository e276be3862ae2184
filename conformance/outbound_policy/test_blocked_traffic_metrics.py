"""Istio's metrics count traffic that REGISTRY_ONLY blocks, with BlackHoleCluster as the destination.

curl -> sidecar :80   -> block_all (502)      istio_requests_total{destination_service_name="BlackHoleCluster"}
                :443  -> BlackHoleCluster     istio_tcp_connections_closed_total{the same}
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, blocked_tls, documented, get, outbound, reached

LISTED = get("http://counted.test/headers")


@documented(
    source="reference/config/metrics/",
    summary="Istio's metrics count blocked requests and connections with BlackHoleCluster as their destination",
    requires=["istio-metrics"],
    outcomes=["metrics/blocked-http-black-hole", "metrics/blocked-tls-black-hole"],
)
@pytest.mark.parametrize(
    ("probe", "expected", "metric", "labels"),
    [
        pytest.param(
            get("http://uncounted.test/headers"),
            blocked_http(),
            "istio_requests_total",
            {"response_code": "502"},
            id="http-request",
        ),
        pytest.param(
            get("https://uncounted.test/headers"),
            blocked_tls(),
            "istio_tcp_connections_closed_total",
            {},
            id="tls-connection",
        ),
    ],
)
def test_blocked_traffic_counted_for_black_hole(
    egress: Egress, probe: Probe, expected: Outcome, metric: str, labels: dict[str, str]
) -> None:
    blocked = {"reporter": "source", "destination_service_name": "BlackHoleCluster", **labels}
    before = egress.config().metric(metric, blocked)
    passed = reached(cluster=outbound("counted.test"))
    egress.expect_all((LISTED, passed), (probe, expected))
    egress.wait_until(f"{metric} counts what was blocked", lambda proxy: proxy.metric(metric, blocked) > before)
