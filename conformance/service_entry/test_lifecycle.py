"""A host whose entry and rules are created and deleted: afterwards it is blocked as before."""

from pytest_istio_egress import Egress, blocked_http, documented, get, outbound, reached, timed_out


@documented(
    source="tasks/traffic-management/egress/egress-control/#cleanup-the-controlled-access-to-external-services",
    summary="Once its ServiceEntry and rules are deleted, a request for the host gets 502 again",
    requires=["http-1.1-upstream"],
    outcomes=["service-entry/deleted-502", "service-entry/deleted-initial-state"],
)
def test_host_of_deleted_entry_gets_502(egress: Egress) -> None:
    control = reached(cluster=outbound("always.test"))
    listed = reached(cluster=outbound("guest.test"))
    cut_off = timed_out(after=0.5, cluster=outbound("guest.test"))
    egress.expect_all((get("http://always.test/headers"), control), (get("http://guest.test/headers"), blocked_http()))
    egress.apply("lifecycle_entry.yaml")
    egress.expect_all((get("http://guest.test/headers"), listed), (get("http://guest.test/delay/1"), cut_off))
    egress.remove("lifecycle_entry.yaml")
    egress.expect_all((get("http://always.test/headers"), control), (get("http://guest.test/headers"), blocked_http()))
