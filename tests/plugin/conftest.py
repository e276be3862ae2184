"""The fixture of these tests: a user's repository, in which pytest runs on a suite made for the test."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path


@pytest.fixture
def repository(
    pytester: pytest.Pytester, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Repository:
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    for name in ("STAND_IN_SUITE", "STAND_IN_NOTES"):
        monkeypatch.setenv(name, "")
    # Independent of the machine: no cluster is configured unless a test does it.
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
    return Repository(pytester, tmp_path_factory.mktemp("elsewhere"))
