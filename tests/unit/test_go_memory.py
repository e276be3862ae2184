"""The compiler's garbage collector: seldom where there is memory, as Go has it elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_istio_egress.embedded.go_memory import SELDOM, available_memory, collector_settings, settings_for

GIB = 2**30


@pytest.mark.parametrize(
    ("memory", "processors", "seldom"), [(16, 2, True), (4, 2, True), (2, 2, False), (8, 16, False)]
)
def test_a_compiler_collects_seldom_where_each_has_memory(memory: int, processors: int, *, seldom: bool) -> None:
    found = settings_for(memory * GIB, processors)
    assert bool(found) is seldom
    if seldom:
        assert found["GOGC"] == SELDOM
        assert int(found["GOMEMLIMIT"]) * processors < memory * GIB, "all compilers together"


@pytest.mark.parametrize("name", ["GOGC", "GOMEMLIMIT"])
def test_the_users_own_settings_stay(name: str) -> None:
    assert collector_settings({name: "off"}) == {}


def test_the_limit_of_a_container_counts_where_it_is_less(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:       16777216 kB\nMemAvailable:    8388608 kB\nHugePages_Total:   0\n")
    limit = tmp_path / "memory.max"
    for stated, found in (("max\n", 8 * GIB), (f"{2 * GIB}\n", 2 * GIB), (f"{64 * GIB}\n", 8 * GIB)):
        limit.write_text(stated)
        assert available_memory(meminfo, [limit, tmp_path / "none"]) == found
