"""A VirtualService's timeout of 3 s, with an answer that takes 5 s."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached, timed_out


@documented(
    source="tasks/traffic-management/egress/egress-control/#manage-traffic-to-external-services",
    summary="Without a timeout a slow answer arrives with 200; with a timeout of 3 s the answer is 504 after 3 s",
    outcomes=[
        "virtual-service/no-timeout-slow-host-200",
        "virtual-service/timeout-3s-504",
        "virtual-service/no-timeout-200-after-5s",
        "virtual-service/timeout-504-after-3s",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://patient.test/delay/5"),
            reached(seconds=5.0),
            id="without-timeout",
        ),
        pytest.param(
            get("http://hurried.test/headers"),
            reached(),
            id="control-fast-answer",
        ),
        pytest.param(
            get("http://hurried.test/delay/5"),
            timed_out(after=3.0, details="response_timeout"),
            id="with-timeout",
        ),
    ],
)
def test_slow_answer_ends_with_504_at_timeout(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
