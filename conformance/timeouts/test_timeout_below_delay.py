"""A VirtualService's timeout ends a slow answer.

curl -> sidecar (0.5 s) -> outside, which answers after 1 s: the sidecar answers 504
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached, timed_out


@documented(
    source="tasks/traffic-management/egress/egress-control/#manage-traffic-to-external-services",
    summary="A slow answer ends with 504 when the VirtualService's timeout expires",
    outcomes=[
        "virtual-service/timeout-504",
        "virtual-service/timeout-504-in-time",
        "virtual-service/timeout-504-after-3s",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://slow-shorter.test/headers"),
            reached(),
            id="control-fast-answer",
        ),
        pytest.param(
            get("http://slow-shorter.test/delay/1"),
            timed_out(after=0.5, details="response_timeout"),
            id="slow-answer",
        ),
    ],
)
def test_slow_answer_ends_with_504(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
