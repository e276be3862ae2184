"""The command `istio-egress`: its help loads neither the embedded cluster nor kubernetes; `python -m` runs it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_istio_egress.cli.main import main

HEAVY = ("pytest_istio_egress.embedded", "filelock", "platformdirs", "rich", "kubernetes", "cryptography")


@pytest.mark.parametrize(
    "arguments", [["--help"], ["cluster", "up", "--help"], ["traffic", "start", "--help"], ["doctor", "--help"]]
)
def test_help_loads_no_optional_library(arguments: list[str]) -> None:
    # None in sys.modules makes every import of that name fail.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({HEAVY!r}))\n"
        f"from pytest_istio_egress.cli.main import main; main({arguments!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("usage: istio-egress")


def test_unknown_mesh_mode_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["cluster", "up", "--mesh-mode", "DENY"])
    assert ended.value.code == 2
    assert "invalid choice: 'DENY' (choose from REGISTRY_ONLY, ALLOW_ANY)" in capsys.readouterr().err


def test_package_runs_as_the_command() -> None:
    command = [sys.executable, "-m", "pytest_istio_egress.cli", "rights", "--revision", "canary"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "resourceNames: [istio-canary]" in done.stdout


def test_error_of_an_embedded_cluster_is_one_line_with_a_hint() -> None:
    command = [sys.executable, "-m", "pytest_istio_egress.cli", "cluster", "kubeconfig", "--name", "missing-cluster"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "istio-egress: cluster missing-cluster is not running",
        "  hint: istio-egress cluster up --name missing-cluster",
    ]
