"""The shipped tests are collected under the same ids everywhere, and nothing else changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from repository import IDS, Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

CHECKOUT = Path(__file__).parents[2]


def test_suite_in_empty_folder_has_its_ids(repository: Repository) -> None:
    assert repository.ids() == IDS


@pytest.mark.parametrize(
    "setting",
    [
        "python_files = check_*.py",
        "python_functions = check_*",
        "norecursedirs = *",
        "testpaths = own",
        "addopts = --import-mode=append --doctest-modules",
        "addopts = --strict-markers --strict-config -m istio_egress",
        "addopts = --pyargs",
    ],
)
def test_settings_of_another_repository_change_no_ids(repository: Repository, setting: str) -> None:
    repository.pytester.makeini(f"[pytest]\n{setting}\n")
    own = repository.path / "own"
    own.mkdir()
    (own / "test_own.py").write_text("def test_own(): pass\ndef check_own(): pass\n")
    assert repository.ids() == IDS


def test_conformance_folder_of_the_repository_is_kept_apart(repository: Repository) -> None:
    own = repository.path / "conformance" / "dns"
    own.mkdir(parents=True)
    (own / "test_own.py").write_text("def test_own(): pass\n")
    assert repository.ids() == IDS
    assert repository.ids("conformance/dns") == ["conformance/dns/test_own.py::test_own"]
    assert repository.ids("conformance/dns/test_http.py") == IDS[:1]


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (["conformance"], IDS),
        (["conformance/timeouts"], IDS[1:4]),
        (["conformance/timeouts/test_http.py"], IDS[1:4]),
        (["conformance/timeouts/test_http.py::test_retries"], IDS[3:4]),
        (["conformance/timeouts/test_http.py::test_timeout[2]"], IDS[2:3]),
        (["conformance/mesh_wide", "conformance/dns"], [IDS[0], IDS[4]]),
        (["-k", "timeouts"], IDS[1:4]),
        (["-k", "resolved"], IDS[:1]),
        (["--deselect", "conformance/timeouts"], [IDS[0], IDS[4]]),
    ],
)
def test_arguments_select_by_id(repository: Repository, chosen: list[str], expected: list[str]) -> None:
    assert repository.ids(*chosen) == expected


def test_unknown_id_is_a_usage_error(repository: Repository) -> None:
    result = repository.run("--istio-egress", "conformance/no_such_area")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *conformance/no_such_area*"])


def test_suite_through_a_symbolic_link_has_its_ids(repository: Repository) -> None:
    (repository.path / "linked").symlink_to(repository.suite)
    assert repository.ids("linked/dns/test_http.py") == IDS[:1]


def test_conftest_files_around_the_suite_are_ignored(repository: Repository) -> None:
    stray = "import pytest\n@pytest.fixture(autouse=True)\ndef stray(): raise RuntimeError('unwanted')\n"
    for folder in (repository.suite.parent, repository.suite, repository.suite / "dns"):
        (folder / "conftest.py").write_text(stray)
    (repository.suite.parent / "__init__.py").write_text("raise RuntimeError('nor this')")
    repository.run("--istio-egress", "conformance/dns").assert_outcomes(passed=1)


def test_own_tests_are_collected_beside_the_suite(repository: Repository) -> None:
    repository.pytester.makepyfile(test_own="def test_own(egress): egress()")
    assert repository.ids("test_own.py") == ["test_own.py::test_own"]
    assert repository.ids("test_own.py", "conformance/dns") == ["test_own.py::test_own", IDS[0]]
    repository.run("--istio-egress", "test_own.py").assert_outcomes(passed=1)
    assert len(repository.notes_of("target")) == 1


def test_modules_of_the_same_name_are_imported_apart(repository: Repository) -> None:
    repository.write(
        {
            "a/test_same.py": "WHERE = 'a'\ndef test_a(egress): assert WHERE == 'a'",
            "b/test_same.py": "WHERE = 'b'\ndef test_b(egress): assert WHERE == 'b'",
        }
    )
    repository.run("--istio-egress", "conformance/a", "conformance/b").assert_outcomes(passed=2)


def test_broken_module_is_an_error_of_collection(repository: Repository) -> None:
    repository.write({"dns/test_broken.py": "import no_such_module"})
    result = repository.run("--istio-egress")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["*cannot import *dns/test_broken.py: No module*", "*No module named 'no_such_module'*"]
    )
    assert not repository.notes_of("prepare")


def test_run_without_the_switch_is_unchanged(repository: Repository) -> None:
    repository.pytester.makepyfile(test_own="def test_own(): pass")
    result = repository.run("-v")
    result.assert_outcomes(passed=1)
    assert "istio-egress:" not in result.stdout.str()
    assert "istio egress" not in result.stdout.str()
    assert not repository.notes.exists()
    fixtures = repository.pytester.runpytest_subprocess("--fixtures")
    assert "pytest_istio_egress" not in fixtures.stdout.str()


def ids_of_the_checkout(pytester: pytest.Pytester, *arguments: str) -> set[str]:
    result = pytester.runpytest_subprocess("--rootdir", str(CHECKOUT), "--collect-only", "-q", *arguments)
    return {line.partition("/")[0] for line in result.outlines if "::" in line}


def test_checkout_collects_either_its_tests_or_the_suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(CHECKOUT)
    assert ids_of_the_checkout(pytester) == {"tests"}
    assert ids_of_the_checkout(pytester, "--istio-egress") == {"conformance"}
