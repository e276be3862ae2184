"""The CI examples name options, sessions and paths that exist."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from pytest_istio_egress.cli.compare import register_compare_command
from pytest_istio_egress.settings.options import OPTIONS

ROOT = Path(__file__).parents[2]
WORKFLOWS = [ROOT / ".github/workflows/ci.yml", ROOT / "docs/ci/github.yml"]
GITLAB = ROOT / "docs/ci/gitlab.yml"
TEXTS = [*WORKFLOWS, GITLAB, ROOT / "README.md", ROOT / "noxfile.py"]
KNOWN_OPTIONS = {option.flag for option in OPTIONS} | {"--istio-egress"}
OF_GITHUB = re.compile(r"\$\{\{.*?\}\}")


def scripts(file: Path) -> Iterator[str]:
    """Yield the scripts of a file, one text per step."""
    document: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    if file == GITLAB:
        for job in document.values():
            yield from [*job["script"], *job.get("after_script", [])]
        return
    for job in document["jobs"].values():
        yield from (OF_GITHUB.sub("x", step["run"]) for step in job["steps"] if "run" in step)


def commands(program: str) -> list[list[str]]:
    """Return the arguments of each call of a program in the examples."""
    lines = [
        line
        for file in [*WORKFLOWS, GITLAB]
        for script in scripts(file)
        for line in script.replace("\\\n", " ").splitlines()
    ]
    calls = [shlex.split(line, comments=True) for line in lines if program in line]
    return [words[words.index(program) + 1 :] for words in calls if program in words]


@pytest.mark.parametrize("file", TEXTS, ids=lambda file: file.name)
def test_options_of_the_examples_exist(file: Path) -> None:
    named = set(re.findall(r"--istio-egress(?:-[a-z]+)*", file.read_text(encoding="utf-8")))
    assert named <= KNOWN_OPTIONS


def test_compare_accepts_the_arguments_of_the_examples() -> None:
    import argparse

    parser = argparse.ArgumentParser()
    register_compare_command(parser.add_subparsers())
    calls = [words for words in commands("istio-egress") if words[0] == "compare"]
    assert len(calls) == 2
    for words in calls:
        assert parser.parse_args(words).before == Path("egress/baseline.yaml")


def test_compare_reads_the_report_that_pytest_writes() -> None:
    for words in commands("pytest"):
        if "--istio-egress-report" in words:
            written = words[words.index("--istio-egress-report") + 1]
            assert all(written in call for call in commands("istio-egress") if call[0] == "compare")


def test_nox_sessions_of_the_examples_exist() -> None:
    tree = ast.parse((ROOT / "noxfile.py").read_text(encoding="utf-8"))
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    sessions = functions | {name.replace("_", "-") for name in functions}
    document = yaml.safe_load(WORKFLOWS[0].read_text(encoding="utf-8"))
    named = {
        word.partition("(")[0]
        for words in commands("nox")
        for word in words[1 : words.index("--") if "--" in words else None]
    }
    named |= {entry["session"] for entry in document["jobs"]["embedded"]["strategy"]["matrix"]["include"]}
    assert {"lint", "kind", "upgrade"} <= named
    assert named - {"x"} <= sessions


@pytest.mark.parametrize(
    ("schema", "file"),
    [("vendor.github-workflows", str(file)) for file in WORKFLOWS] + [("vendor.gitlab-ci", str(GITLAB))],
)
def test_examples_match_the_schemas_of_their_services(schema: str, file: str) -> None:
    pytest.importorskip("check_jsonschema", reason="of the extra dev")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, file]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_scripts_pass_shellcheck() -> None:
    own = Path(sys.executable).parent / "shellcheck"
    shellcheck = str(own) if own.is_file() else shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("no shellcheck; it is in the extra dev")
    files = [str(ROOT / name) for name in ("bootstrap", "kind/up", "kind/down")]
    done = subprocess.run([shellcheck, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
