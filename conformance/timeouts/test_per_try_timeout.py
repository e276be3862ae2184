"""A VirtualService's time for each attempt: a slow answer is tried once more, and each attempt ends at that time.

curl -> sidecar (2 attempts of 0.5 s) -> outside, which answers after 2 s: the sidecar answers 504 after 1 s
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached, timed_out

FLAGS = frozenset({"UT,URX", "URX,UT"})
"""The last attempt timed out (UT), and no retry was left (URX); no document states the order of flags."""


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="With perTryTimeout 0.5 s and one retry, a slow answer ends with 504 after two attempts, in 1 s",
    outcomes=["virtual-service/per-try-timeout-504"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://timed-tries.test/headers"), reached(), id="control-fast-answer"),
        pytest.param(get("http://timed-tries.test/delay/2"), timed_out(after=1.0, flags=FLAGS), id="slow-answer"),
    ],
)
def test_slow_attempts_end_with_504(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
