"""The modules that demonstrations share: the programs of their cluster, and their command lines."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from demonstrations.cluster_tools import kubectl, run
from demonstrations.command_line import check_names, parser_of
from pytest_istio_egress.embedded import EmbeddedCluster

ROOT = Path(__file__).parents[2]
COMMANDS = sorted(path for path in ROOT.glob("demonstrations/*/*.py") if path.stem == path.parent.name)


@pytest.fixture
def cluster(tmp_path: Path) -> EmbeddedCluster:
    """A cluster whose kubectl prints its arguments, its kubeconfig and its input, and fails at `wrong`."""
    program = tmp_path / "kubectl"
    program.write_text('#!/bin/sh\necho "$*" "$KUBECONFIG"\ncat\n[ "$1" != wrong ] || { echo no >&2; exit 3; }\n')
    program.chmod(0o755)
    versions = dict.fromkeys(("istio", "envoy", "kubernetes"), "")
    return EmbeddedCluster(
        name="one", kubeconfig=Path("/kubeconfig"), started=True, notes=(), binaries=tmp_path, **versions
    )


def test_kubectl_is_that_of_the_cluster(cluster: EmbeddedCluster) -> None:
    assert kubectl(cluster, "apply", "-f", "-", stdin="kind: List") == "apply -f - /kubeconfig\nkind: List"


def test_failed_kubectl_ends_the_demonstration_with_its_message(cluster: EmbeddedCluster) -> None:
    assert run(cluster, "kubectl", "wrong", stdin="").returncode == 3
    with pytest.raises(SystemExit, match="kubectl wrong: no"):
        kubectl(cluster, "wrong", stdin="")


def test_unknown_name_is_an_error_with_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    parser = parser_of(str(ROOT / "demonstrations" / "faults" / "faults.py"), "Kills.")
    check_names(parser, ["one"], ["one", "two"])
    with pytest.raises(SystemExit):
        check_names(parser, ["one", "three"], ["one", "two"])
    told = capsys.readouterr().err
    assert "python demonstrations/faults/faults.py: error: unknown name: three (choose from one, two)" in told


@pytest.mark.parametrize(
    "file", [file for file in COMMANDS if "parser_of" in file.read_text(encoding="utf-8")], ids=lambda file: file.stem
)
def test_help_of_a_demonstration_begins_with_its_description(file: Path) -> None:
    shown = subprocess.run([sys.executable, file, "--help"], capture_output=True, text=True, check=True).stdout
    assert f"usage: python demonstrations/{file.stem}/{file.name}" in shown
    assert file.read_text(encoding="utf-8").split('"""')[1].splitlines()[0] in shown
