"""Istio's own metrics count what REGISTRY_ONLY blocks, under the name of the cluster that nothing leaves.

curl -> sidecar :80   -> block_all (502)      istio_requests_total{destination_service_name="BlackHoleCluster"}
                :443  -> BlackHoleCluster     istio_tcp_connections_closed_total{the same}
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, block_all, documented, get, tls

LISTED = get("http://counted.test/headers")


@documented(
    source="reference/config/metrics/",
    summary="Istio's metrics count a blocked request and a blocked connection for the destination BlackHoleCluster",
    requires=["istio-metrics"],
    outcomes=["A10-metric", "A11-metric"],
)
@pytest.mark.parametrize(
    ("probe", "expected", "metric", "labels"),
    [
        pytest.param(
            get("http://uncounted.test/headers"),
            block_all(),
            "istio_requests_total",
            {"response_code": "502"},
            id="http-request",
        ),
        pytest.param(
            tls("https://uncounted.test/headers"),
            Outcome(exit=35, cluster="BlackHoleCluster", flags="UH"),
            "istio_tcp_connections_closed_total",
            {},
            id="tls-connection",
        ),
    ],
)
def test_counted_in_metrics(
    egress: Egress, probe: Probe, expected: Outcome, metric: str, labels: dict[str, str]
) -> None:
    blocked = {"reporter": "source", "destination_service_name": "BlackHoleCluster", **labels}
    before = egress.config().metric(metric, blocked)
    passed = Outcome(status=200, reached="outside", cluster="outbound|80||counted.test")
    egress.expect_all((LISTED, passed), (probe, expected))
    egress.wait_until(f"{metric} counts what was blocked", lambda proxy: proxy.metric(metric, blocked) > before)
