"""Refuses expectations that cannot hold for hosts of the user's own, before anything is sent."""

from __future__ import annotations

from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.verdict.verdict import Expectation

OF_SUITE = ("reached", "source", "server_saw", "proxy")
"""Fields of `Outcome` that only the suite's own servers can show: they report what they received."""


def check_expectation(expectation: Expectation) -> None:
    """Raise InvalidTestError where a probe from a user's workload expects what only the suite's servers report."""
    probe, expected = expectation
    if not probe.from_own_workload:
        return
    names = [name for name in OF_SUITE if not (expected.reached and name == "server_saw")]  # derived from `reached`
    given = [name for name in names if getattr(expected, name)]
    if given:
        raise InvalidTestError(
            f"{', '.join(given)} of {probe.url} cannot be verified from {probe.client}: only the suite's own servers "
            "report it. Leave it out, and expect status, cluster, gateway or body instead; "
            "answered() is reached() for a host of your own"
        )
