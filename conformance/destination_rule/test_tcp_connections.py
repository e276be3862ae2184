"""A limit of one TCP connection: the sidecar closes the second one at the same time.

curl, 1st connection -> sidecar -> outside, which keeps it for 10 s
      2nd connection -> sidecar: closed (UO)
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS

CLUSTER = outbound("one-tcp-connection.test", 9000)


@documented(
    source="reference/config/networking/destination-rule/#ConnectionPoolSettings-TCPSettings",
    summary="With maxConnections 1 the second of two TCP connections at once is closed",
    outcomes=["destination-rule/tcp-connections-closed"],
)
def test_tcp_connection_beyond_limit_closed(egress: Egress) -> None:
    unlimited = get("http://any-tcp-connections.test:47811/headers"), reached()
    first = get("http://one-tcp-connection.test:9000/delay/10"), reached()
    second = get("http://one-tcp-connection.test:9000/headers")
    closed = Outcome(exit=BLACKHOLE_EXITS, cluster=CLUSTER, flags="UO")
    name = egress.in_cluster(CLUSTER)
    egress.expect_all(unlimited, (second, reached()))
    egress.wait_until("no connection", lambda config: config.active_connections(name) == 0)
    with egress.while_sending(first):
        egress.wait_until("one connection", lambda config: config.active_connections(name) == 1)
        egress.expect_all((second, closed), unlimited)
