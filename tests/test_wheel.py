"""What is installed is complete: cases, manifests and plugin work from the wheel alone, and from an editable one."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from hatchling.builders.wheel import WheelBuilder

CHECKOUT = Path(__file__).parents[1]
SHIPPED = "pytest_istio_egress/_shipped"


def sources(folder: str) -> set[str]:
    """Return the files of a top-level folder that belong into the wheel."""
    files = (CHECKOUT / folder).rglob("*")
    return {str(file.relative_to(CHECKOUT)) for file in files if file.suffix in {".py", ".yaml"}}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    [built] = WheelBuilder(str(CHECKOUT)).build(directory=str(tmp_path_factory.mktemp("wheel")), versions=["standard"])
    return ZipFile(built)


def test_wheel_holds_every_case_and_manifest(wheel: ZipFile) -> None:
    shipped = {name.removeprefix(f"{SHIPPED}/") for name in wheel.namelist() if name.startswith(SHIPPED)}
    assert shipped == sources("conformance") | sources("fixtures")
    assert any(name.endswith(".yaml") for name in shipped)


def test_wheel_takes_no_other_name(wheel: ZipFile) -> None:
    tops = {name.partition("/")[0] for name in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pytest_istio_egress"}


def test_wheel_holds_every_module_and_its_data(wheel: ZipFile) -> None:
    package = CHECKOUT / "pytest_istio_egress"
    files = {
        str(file.relative_to(CHECKOUT))
        for file in package.rglob("*")
        if file.is_file() and not {"__pycache__", "_shipped"} & set(file.parts)
    }
    assert files <= set(wheel.namelist())


def test_suite_has_no_conftest(wheel: ZipFile) -> None:
    assert not [name for name in wheel.namelist() if name.endswith("conftest.py")]


def test_editable_wheel_holds_no_copy(tmp_path: Path) -> None:
    [built] = WheelBuilder(str(CHECKOUT)).build(directory=str(tmp_path), versions=["editable"])
    assert not [name for name in ZipFile(built).namelist() if "conformance" in name]


def collected(packages: Path, folder: Path, *arguments: str) -> list[str]:
    """Run the installed plugin in a folder; return the ids that it collects, and that it was this plugin."""
    code = "import sys, pytest, pytest_istio_egress as p; print(p.__file__); sys.exit(pytest.main(sys.argv[1:]))"
    ran = subprocess.run(
        [sys.executable, "-c", code, "--istio-egress", "--collect-only", "-q", *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(packages)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.startswith(str(packages))
    return [line for line in ran.stdout.splitlines() if "::" in line]


def test_wheel_from_an_empty_folder_and_from_a_venv_inside_a_repository(wheel: ZipFile, tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    packages = repository / ".venv" / "lib" / "site-packages"
    wheel.extractall(packages)
    (repository / ".venv" / "pyvenv.cfg").touch()
    (repository / "pytest.ini").write_text("[pytest]\npython_files = *.py\ntestpaths = own\n")
    stray = packages / "conftest.py"
    stray.write_text("raise RuntimeError('left there by some other package')\n")
    empty = tmp_path / "empty"
    empty.mkdir()

    ids = collected(packages, empty)
    assert {name.partition("::")[0] for name in ids} == {
        name for name in sources("conformance") if Path(name).name.startswith("test_")
    }
    assert collected(packages, repository) == ids
    own = repository / "own" / "test_own.py"
    own.parent.mkdir()
    own.write_text("def test_own(): pass\n")
    assert collected(packages, repository, "own", ids[0]) == ["own/test_own.py::test_own", ids[0]]
    assert collected(packages, repository, ids[0]) == ids[:1]
    assert collected(packages, empty, ids[-1]) == ids[-1:]
