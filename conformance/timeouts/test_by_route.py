"""A timeout set by an HTTPRoute of the Gateway API, whose parent is the ServiceEntry."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get

CLUSTER = "outbound|80||timed-by-route.test"


@documented(
    source="tasks/traffic-management/egress/egress-control/#manage-traffic-to-external-services",
    summary="An HTTPRoute with a ServiceEntry as parent limits requests to its host by timeouts.request: 504 at that time",
    requires=["gateway-api"],
    outcomes=["A8"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://timed-by-route.test/headers"),
            Outcome(status=200, reached="outside", cluster=CLUSTER, details="via_upstream"),
            id="in-time",
        ),
        pytest.param(
            get("http://timed-by-route.test/delay/1"),
            Outcome(status=504, cluster=CLUSTER, flags="UT", details="response_timeout", min_seconds=0.5),
            id="too-late",
        ),
    ],
)
def test_by_route(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
