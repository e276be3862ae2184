"""The verdicts of one test so far: each is the result of one `expect`, and all of them serve as controls of blocks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pytest_istio_egress.verdict.verdict import Answer, Exchange, Expectation, NoVerdict, Verdict

if TYPE_CHECKING:
    # Part of Egress, which every test names; collecting them must not load the Kubernetes client.
    from pytest_istio_egress.cluster.api import ClusterError


class Verdicts:
    """What came of a test's probes, in the order in which they were sent."""

    def __init__(self, answers: Iterable[Answer] = ()) -> None:
        self._answers = list(answers)
        self._pending = list(self._answers)

    def add(self, answers: Iterable[Answer]) -> None:
        """Add what came of further probes."""
        added = list(answers)
        self._answers += added
        self._pending += added

    def clear(self) -> None:
        """Forget everything: the test's configuration has changed."""
        self._answers.clear()
        self._pending.clear()

    def pending(self, expectation: Expectation) -> Answer | None:
        """Return what came of a parameter's probe, unless `take` has returned it already; None without any."""
        return next((each for each in self._pending if (each.probe, each.expected) == expectation), None)

    def take(self, expectation: Expectation) -> Answer | None:
        """Return the same, for the last time: who expects the same outcome twice gets two answers."""
        answer = self.pending(expectation)
        self._pending = [each for each in self._pending if each is not answer]
        return answer

    def controls(self, block: Verdict) -> list[Answer]:
        """Return what came of the probes of the block's client that are no blocks themselves."""
        return [each for each in self._answers if each.probe.client == block.probe.client and not each.expected.blocked]


def proof(controls: Sequence[Answer]) -> bool:
    """Whether one of these controls shows that its client reaches what is allowed.

    It may differ in other fields, such as the cluster: that is a failure of its own, and no outage.
    """
    return any(isinstance(each, Verdict) and (each.passed or _came_through(each)) for each in controls)


def _came_through(control: Verdict) -> bool:
    seen: Exchange = control.exchange
    expected = control.expected
    forwarded = seen.sidecar is not None and seen.sidecar.forwarded is True
    return forwarded and seen.curl.exit in expected.exits and expected.status in (None, seen.curl.status)


def error_of(controls: Sequence[Answer]) -> ClusterError | None:
    """Return why nothing is known of a block: its control ended in an error; None where none did."""
    failed = next((each for each in controls if isinstance(each, NoVerdict)), None)
    if failed is None:
        return None
    from pytest_istio_egress.cluster.api import ClusterError, reason  # loads the Kubernetes client

    return ClusterError(f"the control {failed.probe.url} of this block ended in an error: {reason(failed.error)}")
