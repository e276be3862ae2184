"""kind/up with stand-ins for docker, kind, kubectl and istioctl: the images it loads, and its cleanup."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_IN = """#!/bin/sh
echo "$(basename "$0") $*" >> "$CALLS"
[ "$1" != version ] || echo "client version: 1.30.2"
case "$(basename "$0") $1" in "$FAILS") exit 1 ;; esac
"""


def up(tmp_path: Path, *arguments: str, fails: str = "-") -> tuple[subprocess.CompletedProcess[str], list[str]]:
    calls = tmp_path / "calls"
    calls.touch()
    for program in ("docker", "kind", "kubectl", "istioctl"):
        stand_in = tmp_path / program
        stand_in.write_text(STAND_IN, encoding="utf-8")
        stand_in.chmod(0o755)
    done = subprocess.run(
        [ROOT / "kind/up", *arguments],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}", "CALLS": str(calls), "FAILS": fails},
        capture_output=True,
        text=True,
        check=False,
    )
    return done, calls.read_text(encoding="utf-8").splitlines()


def test_images_of_fixtures_are_loaded_before_istio_is_installed(tmp_path: Path) -> None:
    done, calls = up(tmp_path, "x", "1.30")
    assert done.returncode == 0, done.stderr
    named = {
        name
        for file in (ROOT / "fixtures").glob("*.yaml")
        for name in re.findall(r"image: (\S+)", file.read_text(encoding="utf-8"))
    }
    loaded = {call.split()[-1] for call in calls if call.startswith("kind load docker-image --name x ")}
    assert loaded == named - {"auto"}
    assert {call.split()[-1] for call in calls if call.startswith("docker pull")} == loaded
    assert calls[-1].startswith("istioctl install --context kind-x ")
    assert not [call for call in calls if "delete" in call]


@pytest.mark.parametrize("fails", ["docker pull", "kind load", "istioctl install"])
def test_failure_deletes_the_cluster(tmp_path: Path, fails: str) -> None:
    done, calls = up(tmp_path, "x", "1.30", fails=fails)
    assert done.returncode != 0
    assert calls[-1] == "kind delete cluster --name x"


@pytest.mark.parametrize("arguments", [[], ["x"], ["x", "1.3"], ["x", "1.31"], ["x", "30"]])
def test_invalid_arguments_are_rejected_before_anything_is_created(tmp_path: Path, arguments: list[str]) -> None:
    done, calls = up(tmp_path, *arguments)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert not [call for call in calls if not call.startswith("istioctl version")]
