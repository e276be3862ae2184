"""A host that is listed, ruled and unlisted again: in the end all is as it was."""

from pytest_istio_egress import Egress, Outcome, block_all, documented, get


@documented(
    source="tasks/traffic-management/egress/egress-control/#cleanup-the-controlled-access-to-external-services",
    summary="Once its entry and rules are deleted, a host is answered with 502 as before",
    outcomes=["workshop/clean-up", "serviceentry/clean-up"],
)
def test_comes_and_goes(egress: Egress) -> None:
    control = Outcome(status=200, reached="outside", cluster="outbound|80||always.test")
    listed = Outcome(status=200, reached="outside", cluster="outbound|80||guest.test")
    cut_off = Outcome(status=504, flags="UT", cluster="outbound|80||guest.test", min_seconds=0.5)
    egress.expect_all((get("http://always.test/headers"), control), (get("http://guest.test/headers"), block_all()))
    egress.apply("comes_and_goes_entry.yaml")
    egress.expect_all((get("http://guest.test/headers"), listed), (get("http://guest.test/delay/1"), cut_off))
    egress.remove("comes_and_goes_entry.yaml")
    egress.expect_all((get("http://always.test/headers"), control), (get("http://guest.test/headers"), block_all()))
