"""A limit of one connection, and of one request that waits for it: the third request at the same time gets 503.

curl, 1st request -> sidecar -> outside, which answers after 10 s
      2nd request -> sidecar: waits for that connection
      3rd request -> sidecar: 503 (UO)
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached

CLIENT = "one-worker.egress-client"
CLUSTER = outbound("one-connection.test")


@documented(
    source="reference/config/networking/destination-rule/#ConnectionPoolSettings-HTTPSettings",
    summary="With maxConnections 1 and http1MaxPendingRequests 1 the third of three requests at once gets 503",
    outcomes=["destination-rule/pending-requests-503"],
)
def test_request_beyond_limits_gets_503(egress: Egress) -> None:
    unlimited = get("http://any-connections.test/headers", client=CLIENT), reached()
    first = get("http://one-connection.test/delay/10", client=CLIENT), reached()
    second = get("http://one-connection.test/headers?second", client=CLIENT), reached()
    third = get("http://one-connection.test/headers?third", client=CLIENT)
    overflow = "upstream_reset_before_response_started{overflow}"
    refused = Outcome(status=503, cluster=CLUSTER, flags="UO", details=overflow)
    name = egress.in_cluster(CLUSTER)
    egress.expect_all(unlimited, (get("http://one-connection.test/headers", client=CLIENT), reached()))
    with egress.while_sending(first):
        egress.wait_until("one request in progress", lambda config: config.active_requests(name) == 1, CLIENT)
        with egress.while_sending(second):
            egress.wait_until("one request that waits", lambda config: config.waiting_requests() == 1, CLIENT)
            egress.expect_all((third, refused), unlimited)
