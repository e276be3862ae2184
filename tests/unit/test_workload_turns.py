"""Workers of a run take turns in probing from the same workload of the user's, and from no other."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pytest_istio_egress.pipeline.workload_turns import WorkloadTurns

PAYMENTS, SHOP = "deployment/payments.payments", "deployment/shop.shop"

OTHER_WORKER = """
import sys
from pathlib import Path
import filelock
from pytest_istio_egress.pipeline import workload_turns
real = filelock.FileLock
workload_turns.filelock.FileLock = lambda file: real(file, timeout=0)
try:
    with workload_turns.WorkloadTurns(Path(sys.argv[1])).of([sys.argv[2]]):
        print("sends")
except filelock.Timeout:
    print("waits")
"""


def other_worker(folder: Path, workload: str) -> str:
    """Return what another process does that probes from a workload at this moment."""
    done = subprocess.run(
        [sys.executable, "-c", OTHER_WORKER, str(folder), workload], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_other_worker_waits_while_the_same_workload_is_probed(tmp_path: Path) -> None:
    turns = WorkloadTurns(tmp_path)
    with turns.of([SHOP, PAYMENTS, PAYMENTS]):
        assert other_worker(tmp_path, PAYMENTS) == other_worker(tmp_path, SHOP) == "waits"
    assert other_worker(tmp_path, PAYMENTS) == "sends"
    with turns.of([SHOP]):
        assert other_worker(tmp_path, PAYMENTS) == "sends"


def test_turn_ends_with_an_error_of_the_probe(tmp_path: Path) -> None:
    def fail() -> None:
        with WorkloadTurns(tmp_path).of([PAYMENTS]):
            raise OSError

    with pytest.raises(OSError):  # the test's own
        fail()
    assert other_worker(tmp_path, PAYMENTS) == "sends"


def test_one_process_waits_for_nobody() -> None:
    with WorkloadTurns().of([PAYMENTS]), WorkloadTurns().of([PAYMENTS]):
        pass
