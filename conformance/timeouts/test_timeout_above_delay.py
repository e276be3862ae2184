"""A VirtualService's timeout above the delay has no effect."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached


@documented(
    source="tasks/traffic-management/egress/egress-control/#manage-traffic-to-external-services",
    summary="A slow answer arrives with 200 when the VirtualService's timeout is longer than the delay",
    outcomes=["virtual-service/timeout-above-delay-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://slow-longer.test/headers"), reached(), id="control-fast-answer"),
        pytest.param(
            get("http://slow-longer.test/delay/1"),
            reached(flags="-", seconds=1.0),
            id="slow-answer",
        ),
    ],
)
def test_slow_answer_within_timeout_gets_200(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
