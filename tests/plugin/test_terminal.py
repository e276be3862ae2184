"""The results of a run, also through xdist, in the matrix and in JUnit XML."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

MIXED = {
    "dns/test_http.py": """
        import pytest

        @pytest.mark.parametrize("name", ["listed", "unlisted"])
        def test_resolved(egress, name):
            if name == "unlisted":
                egress("failed", "the resolver is not the mesh's", seen="200", area="dns",
                       sidecar={"line": "- UH", "flags": "UH"},
                       differences=[{"hop": "sidecar", "field": "flags", "expected": "-", "seen": "UH"}])
            egress()

        def test_harness(egress):
            raise RuntimeError("curl printed no JSON")

        def test_needs_gateway(egress):
            pytest.skip("the mesh has no egress gateway")

        def test_needs_gateway_too(egress):
            pytest.skip("the mesh has no egress gateway")

        @pytest.fixture
        def broken():
            raise RuntimeError("no client pod")

        def test_set_up(broken): ...
    """,
}
BOTH = pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])


def summary(result: pytest.RunResult) -> list[str]:
    """Return the lines of the matrix."""
    lines = result.outlines
    begin = next(number for number, line in enumerate(lines) if re.fullmatch(r"=+ istio egress =+", line))
    end = next(number for number, line in enumerate(lines) if number > begin and line.startswith("==="))
    return lines[begin + 1 : end]


@BOTH
def test_matrix_shows_results_and_causes(repository: Repository, more: list[str]) -> None:
    repository.write(MIXED)
    result = repository.run("--istio-egress", *more)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    lines = summary(result)
    text = "\n".join(lines)
    areas = [line for line in lines if line and not line.startswith(" ") and line != "skipped"]
    assert areas[:3] == ["dns", "mesh_wide", "timeouts"]
    assert re.search(r"^  . resolved .* listed +. unlisted", text, re.MULTILINE)
    assert "unlisted: the resolver is not the mesh's" in text
    assert "RuntimeError: curl printed no JSON" in text
    assert "setup: RuntimeError: no client pod" in text
    assert re.search(r"timeout .* 2 of 2", text)
    assert re.search(r"^ +2  the mesh has no egress gateway$", text, re.MULTILINE)
    assert re.match(r"1 failed, 2 errors, 4 passed, 3 skipped in [\d.]+ s", lines[-1])


@BOTH
def test_failure_text_replaces_traceback(repository: Repository, more: list[str]) -> None:
    repository.write(MIXED)
    result = repository.run("--istio-egress", "-k", "unlisted", *more)
    result.stdout.fnmatch_lines(["explained: the resolver is not the mesh's"])
    assert "def test_resolved" not in result.stdout.str()


def test_reasons_of_skips_are_not_repeated_with_rs(repository: Repository) -> None:
    repository.write(MIXED)
    result = repository.run("--istio-egress", "-k", "needs_gateway", "-rs")
    lines = [line for line in result.outlines if "the mesh has no egress gateway" in line]
    assert all(line.startswith("SKIPPED") for line in lines)
    assert lines


@BOTH
def test_junit_xml_has_records_as_properties(repository: Repository, more: list[str]) -> None:
    repository.write(MIXED)
    repository.run("--istio-egress", "--junitxml", "junit.xml", *more)
    cases = {
        f"{case.get('classname')}.{case.get('name')}": {
            item.get("name"): item.get("value") for item in case.iter("property")
        }
        for case in ElementTree.parse(repository.path / "junit.xml").iter("testcase")
    }
    failed = cases["conformance.dns.test_http.test_resolved[unlisted]"]
    assert failed["istio-egress.result"] == "failed"
    assert failed["istio-egress.cause"] == "the resolver is not the mesh's"
    assert failed["istio-egress.sidecar"] == "- UH"
    assert failed["istio-egress.differences"] == "sidecar flags: expected -, got UH"
    assert failed["istio-egress.attempts"] == "2"
    assert cases["conformance.dns.test_http.test_resolved[listed]"]["istio-egress.result"] == "passed"


def test_colour_only_on_a_terminal(repository: Repository) -> None:
    assert "\x1b[" not in repository.run("--istio-egress").stdout.str()
    assert "\x1b[32m" in "\n".join(summary_of_coloured(repository.run("--istio-egress", "--color=yes")))


def summary_of_coloured(result: pytest.RunResult) -> list[str]:
    begin = next(number for number, line in enumerate(result.outlines) if "istio egress" in line and "===" in line)
    return result.outlines[begin + 1 :]


def test_matrix_on_an_ascii_terminal_is_ascii(repository: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    result = repository.run("--istio-egress")
    assert result.ret == pytest.ExitCode.OK
    assert "\n".join(summary(result)).isascii()


def test_run_without_terminal_plugin_passes(repository: Repository) -> None:
    assert repository.run("--istio-egress", "-p", "no:terminal").ret == pytest.ExitCode.OK


def test_broken_module_is_in_the_matrix(repository: Repository) -> None:
    repository.write({"dns/test_broken.py": "import no_such_module"})
    result = repository.run("--istio-egress", "-n", "2")
    assert "1 error" in summary(result)[-1]
