"""A timeout in an HTTPRoute of the Gateway API, whose parent is the ServiceEntry."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, reached, timed_out

CLUSTER = outbound("timed-by-route.test")


@documented(
    source="tasks/traffic-management/egress/egress-control/#manage-traffic-to-external-services",
    summary="timeouts.request in an HTTPRoute with a ServiceEntry as parent ends a slow answer with 504 at that time",
    requires=["gateway-api"],
    outcomes=["http-route/timeout-504"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://timed-by-route.test/headers"),
            reached(details="via_upstream"),
            id="in-time",
        ),
        pytest.param(
            get("http://timed-by-route.test/delay/1"),
            timed_out(after=0.5, details="response_timeout"),
            id="too-late",
        ),
    ],
)
def test_slow_answer_with_http_route_timeout_ends_with_504(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
