"""Sorts modules by duration, longest first: with several workers, one that starts last makes all others wait."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

import pytest

from pytest_istio_egress.model.case import Case, case_of
from pytest_istio_egress.plugin.collection import scope_of

# Approximate seconds on a quiet cluster: only the order of the modules depends on them.
SETUP = 1.0
"""A case's configuration, its probes side by side, Envoy's log lines."""
STEPS = 5.0
"""A test without parameters: it applies several configurations, one after the other."""
POD = 4.0
"""A client, server or gateway among the case's manifests."""
CREATES_POD = (b"kind: Deployment", b"gatewayClassName: ")
"""What a manifest contains for each of them. A pod that a test leaves at the end of a run delays its cleanup."""
FIXTURE = 3.0
"""A file of fixtures/ that only few cases need."""
PARAMETER = 0.1
"""One parameter, beside the others."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by the expected duration of their modules; the order within a module stays."""
    tests: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for item in items:
        function = item.nodeid.partition("[")[0]
        durations = tests[scope_of(item.nodeid)]
        durations[function] = durations.get(function, _setup_seconds(item)) + PARAMETER
    seconds = {scope: sum(durations.values()) for scope, durations in tests.items()}
    items.sort(key=lambda item: -seconds[scope_of(item.nodeid)])


def _setup_seconds(item: pytest.Item) -> float:
    """Return the expected seconds until the first probe of a test function is sent."""
    case = case_of(getattr(item, "function", None))
    if case is None:
        return 0.0
    steps = SETUP if hasattr(item, "callspec") else STEPS
    return steps + POD * _pods(case) + FIXTURE * len(case.fixtures)


def _pods(case: Case) -> int:
    pods = 0
    for manifest in case.manifests:
        with suppress(OSError):  # an unreadable manifest is an error of its test
            text = manifest.read_bytes()
            pods += sum(map(text.count, CREATES_POD))
    return pods
