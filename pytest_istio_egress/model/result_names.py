"""The five results that a parameter can have, everywhere a user looks."""

from __future__ import annotations

PASSED = "passed"
FAILED = "failed"
KNOWN_DEVIATION = "known deviation"
SKIPPED = "skipped"
ERROR = "error"
RESULTS = (ERROR, FAILED, KNOWN_DEVIATION, SKIPPED, PASSED)
"""From the result that needs attention most to the one that needs none."""
