"""Outlier detection: the address of a host that answers 5xx three times in a row is ejected, and requests get 503.

curl -> sidecar -> outside: 500, 500, 500
     -> sidecar: no healthy address, 503 (UH)
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached

FAILS = reached(status=500, flags="-", details="via_upstream")
ERRORS = 3
"""consecutive5xxErrors in the manifest."""


@documented(
    source="reference/config/networking/destination-rule/#OutlierDetection",
    summary="After three answers with 5xx in a row the only address of a host is ejected, and requests get 503",
    outcomes=["destination-rule/outlier-ejected-503"],
)
def test_address_ejected_after_consecutive_5xx(egress: Egress) -> None:
    control = get("http://never-ejected.test/headers"), reached()
    egress.expect_all((get("http://ejected.test/headers"), reached()), control)
    for count in range(ERRORS):
        # One after the other: Envoy counts answers in a row.
        egress.expect(get(f"http://never-ejected.test/status/500?{count}"), FAILS)
        egress.expect(get(f"http://ejected.test/status/500?{count}"), FAILS)
    name = egress.in_cluster(outbound("ejected.test"))
    egress.wait_until("ejection of the host's only address", lambda config: config.ejected(name) == 1)
    ejected = Outcome(status=503, cluster=outbound("ejected.test"), flags="UH", details="no_healthy_upstream")
    egress.expect_all((get("http://ejected.test/headers?ejected"), ejected), control)
