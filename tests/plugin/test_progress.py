"""The moving line on a terminal: it appears and disappears, and pytest's own output stays as it is."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
import termios
from contextlib import suppress

import pytest
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.plugin.progress import DRAW, ERASE

DRAWN = re.compile(re.escape(DRAW).replace(re.escape("{}"), "([^\x1b]*)"))
BOTH = pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])
CASES = {
    "dns/test_http.py": """
        def test_one(egress): egress()
        def test_two(egress): egress("failed", "because")
    """,
}


def on_terminal(repository: Repository, *arguments: str, term: str = "xterm", columns: int = 100) -> str:
    """Run pytest on a pseudo-terminal; return every byte that it wrote there, as text."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, columns))
    environment = os.environ | {
        "TERM": term,
        "STAND_IN_SUITE": str(repository.suite),
        "STAND_IN_NOTES": str(repository.notes),
        "PYTHONIOENCODING": "utf-8",
    }
    environment.pop("COLUMNS", None)
    command = [sys.executable, "-m", "pytest", "-p", "stand_in", "-p", "no:cacheprovider", *arguments]
    with subprocess.Popen(command, cwd=repository.path, env=environment, stdout=theirs, stderr=theirs) as running:
        os.close(theirs)
        written = b""
        with suppress(OSError):  # the other end was closed
            while data := os.read(ours, 65536):
                written += data
        running.wait()
    os.close(ours)
    return written.decode()


def without_line(text: str) -> str:
    return DRAWN.sub("", text).replace(ERASE, "")


def comparable(text: str) -> str:
    """Remove what differs from run to run: times, the run's id, the start of xdist's workers."""
    text = text.rpartition(" workers [2 items]")[2]
    text = re.sub(r"\d+\.\d+ ?s\b|in \d+:\d+", "TIME", text)
    return re.sub(r"=+|_+|run \w{6}|gw\d", "", text)


@BOTH
def test_line_shows_phase_then_counts(repository: Repository, more: list[str]) -> None:
    repository.write(CASES)
    text = on_terminal(repository, "--istio-egress", *more)
    lines = [re.sub(r" · [\d min]+ s$", "", line) for line in DRAWN.findall(text)]
    assert lines[0] == "connecting to the cluster · 0 of 6"
    assert "detecting the mesh · 0 of 6" in lines
    assert "creating clients and servers · 0 of 6" in lines
    assert any(re.fullmatch(r"dns 2/2 · \d of 6 · 1 failed", line) for line in lines)
    assert re.fullmatch(r"\w+ \d/\d · 6 of 6 · 1 failed", lines[-1]), "skipped mesh-wide tests count as finished"
    assert text.rindex(ERASE) > text.rindex("6 of 6")


@pytest.mark.parametrize(("color", "shown"), [("yes", "\x1b[36m{}\x1b[0m"), ("no", "{}")])
def test_start_of_the_embedded_cluster_is_shown_in_place_of_the_counter(
    repository: Repository, color: str, shown: str
) -> None:
    repository.write(CASES)
    text = on_terminal(repository, "--istio-egress", "--istio-egress-target", "embedded", f"--color={color}")
    assert DRAW.format(shown.format("[3/9] kubernetes: 12 of about 34 packages")) in text
    assert "detecting the mesh · 0 of 6" in text, "the counter is there again after the start"


def test_start_of_the_embedded_cluster_is_plain_lines_without_a_terminal(repository: Repository) -> None:
    repository.write(CASES)
    text = repository.run("--istio-egress", "--istio-egress-target", "embedded").stdout.str()
    assert "[3/9] kubernetes: 12 of about 34 packages\n" in text
    assert "\x1b" not in text
    assert "\r" not in text


@BOTH
def test_output_of_pytest_is_unchanged(repository: Repository, more: list[str]) -> None:
    repository.write(CASES)
    live = on_terminal(repository, "--istio-egress", "conformance/dns", *more)
    assert DRAWN.search(live)
    dumb = on_terminal(repository, "--istio-egress", "conformance/dns", *more, term="dumb")
    assert ERASE not in dumb
    assert comparable(without_line(live)) == comparable(dumb)


def test_line_fits_a_narrow_terminal(repository: Repository) -> None:
    lines = DRAWN.findall(on_terminal(repository, "--istio-egress", columns=20))
    assert lines
    assert max(map(len, lines)) < 20


@pytest.mark.parametrize(
    "arguments", [["--istio-egress", "-q"], ["--istio-egress", "-s"], []], ids=["-q", "-s", "none"]
)
def test_no_line_with_quiet_or_without_capture(repository: Repository, arguments: list[str]) -> None:
    repository.pytester.makepyfile("def test_own(): pass")
    text = on_terminal(repository, *arguments)
    assert "passed" in text
    assert "\x1bD" not in text
    assert not re.search(r"\d of \d · ", text)


def test_header_follows_pytests_options(repository: Repository) -> None:
    for arguments, shown in (([], True), (["--no-header"], False), (["-q"], False)):
        text = repository.run("--istio-egress", "conformance/dns", *arguments).stdout.str()
        assert ("detected: v1.99.0" in text) is shown
        assert ("istio-egress: target" in text) is shown


@BOTH
def test_plain_lines_without_a_terminal(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.write(CASES)
    monkeypatch.setenv("STAND_IN_EVERY", "0")
    result = repository.run("--istio-egress", "conformance/dns", *more)
    assert "\x1b" not in result.stdout.str()
    result.stdout.fnmatch_lines(["istio-egress: dns 2/2 · 2 of 2 · 1 failed · * s"])
    monkeypatch.delenv("STAND_IN_EVERY")
    assert "2 of 2 ·" not in repository.run("--istio-egress", "conformance/dns", *more).stdout.str()
