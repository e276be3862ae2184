"""The record of a verdict: the comparison of two runs finds data in it, and texts have the manifests' names."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fake_cluster import LINE, verdict_on

from pytest_istio_egress import Hop, Outcome, get
from pytest_istio_egress.model.result_names import FAILED, PASSED
from pytest_istio_egress.verdict.record import record_of

PROBE = get("http://api.test/")


def unrender(text: str) -> str:
    return text.replace("k3x9q", "ours")


@pytest.mark.parametrize(
    ("connected_to", "assigned"),
    [("10.96.118.91", ["10.96.118.91"]), ("fd00:10:96::7", ["fd00:10:96::7"]), ("198.51.100.7", []), (None, [])],
)
def test_address_that_the_cluster_assigned_is_data(connected_to: str | None, assigned: list[str]) -> None:
    record = record_of(verdict_on((PROBE, Outcome(connected_to=connected_to)), passed=True), unrender, "1.40.0")
    assert record["assigned_addresses"] == assigned
    assert (f"connected to {connected_to}" in record["expected"]) is bool(connected_to)


def test_values_that_are_one_outcome_are_data() -> None:
    expected = Outcome(exit=frozenset({52, 56}), flags="UH", gateway=Hop(flags=frozenset({"UF", "NC"})))
    record = record_of(verdict_on((PROBE, expected), passed=True), unrender, "1.40.0")
    assert record["equal_values"] == {"exit": ["52", "56"], "gateway": ["NC", "UF"]}


def test_cause_and_log_lines_have_the_names_of_the_manifests() -> None:
    verdict = verdict_on((PROBE, Outcome(status=200)), passed=False)
    line = replace(LINE, cluster="outbound|80||api.k3x9q.test")
    failed = replace(verdict, cause="No entry of k3x9q.", exchange=replace(verdict.exchange, sidecar=line))
    record = record_of(failed, unrender, "1.40.0")
    assert (record["result"], record["cause"]) == (FAILED, "No entry of ours.")
    assert record["sidecar"]["cluster"] == "outbound|80||api.ours.test"
    passed = record_of(replace(failed, differences=()), unrender, "1.40.0")
    assert (passed["result"], passed["cause"]) == (PASSED, "")
