"""Puts the modules first that take longest, where workers share them: one that is begun last has all others wait."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress

import pytest

from pytest_istio_egress.model.case import Case, case_of
from pytest_istio_egress.plugin.collection import scope_of

# Seconds on a quiet cluster, about: only which module takes longer than which matters.
ENTERED = 1.0
"""A case's configuration, its probes side by side, Envoy's lines."""
STEPS = 5.0
"""A test without parameters: it goes through several configurations, one after the other."""
POD = 4.0
"""A client or server of the case's own."""
FIXTURE = 3.0
"""A part of the outside world that few cases need."""
ASKED = 0.1
"""One parameter, beside the others."""


def longest_first(items: list[pytest.Item]) -> None:
    """Sort tests by what their modules are likely to take; a module's own order stays."""
    tests: defaultdict[str, dict[str, float]] = defaultdict(dict)
    for item in items:
        function = item.nodeid.partition("[")[0]
        taken = tests[scope_of(item.nodeid)]
        taken[function] = taken.get(function, _entered(item)) + ASKED
    takes = {scope: sum(functions.values()) for scope, functions in tests.items()}
    items.sort(key=lambda item: -takes[scope_of(item.nodeid)])


def _entered(item: pytest.Item) -> float:
    """Return what it takes until a function's first question is answered."""
    case = case_of(getattr(item, "function", None))
    if case is None:
        return 0.0
    steps = ENTERED if hasattr(item, "callspec") else STEPS
    return steps + POD * _pods(case) + FIXTURE * len(case.fixtures)


def _pods(case: Case) -> int:
    found = 0
    for manifest in case.manifests:
        with suppress(OSError):  # one that can't be read is told when its case is asked
            found += manifest.read_bytes().count(b"kind: Deployment")
    return found
