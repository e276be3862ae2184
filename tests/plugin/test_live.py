"""The line that moves on a terminal: it is there, it goes, and what pytest writes is what it would have written."""

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
        def test_two(egress): egress("does not hold", "because")
    """,
}


def on_terminal(repository: Repository, *arguments: str, term: str = "xterm", columns: int = 100) -> str:
    """Run pytest on a terminal of its own; return every byte that it wrote there, as text."""
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
        with suppress(OSError):  # how a terminal says that nobody is left at its other end
            while data := os.read(ours, 65536):
                written += data
        running.wait()
    os.close(ours)
    return written.decode()


def without_the_line(text: str) -> str:
    return DRAWN.sub("", text).replace(ERASE, "")


def comparable(text: str) -> str:
    """Leave out what differs from run to run: times, the run's name, how xdist's workers come up."""
    text = text.rpartition(" workers [2 items]")[2]
    text = re.sub(r"\d+\.\d+ ?s\b|in \d+:\d+", "TIME", text)
    return re.sub(r"=+|_+|run \w{6}|gw\d", "", text)


@BOTH
def test_it_tells_how_far_the_run_is(repository: Repository, more: list[str]) -> None:
    repository.have(CASES)
    text = on_terminal(repository, "--istio-egress", *more)
    lines = [re.sub(r" · [\d min]+ s$", "", line) for line in DRAWN.findall(text)]
    assert lines[0] == "asking the cluster · 0 of 6"
    assert "making what the first case needs · 0 of 6" in lines
    assert any(re.fullmatch(r"dns 2/2 · \d of 6 · 1 failed", line) for line in lines)
    assert re.fullmatch(r"\w+ \d/\d · 6 of 6 · 1 failed", lines[-1]), "mesh-wide cases are skipped, and are over too"
    assert text.rindex(ERASE) > text.rindex("6 of 6")


@BOTH
def test_what_pytest_writes_is_not_spoiled(repository: Repository, more: list[str]) -> None:
    repository.have(CASES)
    live = on_terminal(repository, "--istio-egress", "conformance/dns", *more)
    assert DRAWN.search(live)
    dumb = on_terminal(repository, "--istio-egress", "conformance/dns", *more, term="dumb")
    assert ERASE not in dumb
    assert comparable(without_the_line(live)) == comparable(dumb)


def test_a_narrow_terminal(repository: Repository) -> None:
    lines = DRAWN.findall(on_terminal(repository, "--istio-egress", columns=20))
    assert lines
    assert max(map(len, lines)) < 20


@pytest.mark.parametrize(
    "arguments", [["--istio-egress", "-q"], ["--istio-egress", "-s"], []], ids=["-q", "-s", "none"]
)
def test_no_line_where_it_is_not_wanted(repository: Repository, arguments: list[str]) -> None:
    repository.pytester.makepyfile("def test_own(): pass")
    text = on_terminal(repository, *arguments)
    assert "passed" in text
    assert "\x1bD" not in text
    assert not re.search(r"\d of \d · ", text)


def test_headers_are_pytests_to_show(repository: Repository) -> None:
    for arguments, shown in (([], True), (["--no-header"], False), (["-q"], False)):
        text = repository.run("--istio-egress", "conformance/dns", *arguments).stdout.str()
        assert ("answered: v1.99.0" in text) is shown
        assert ("istio-egress: target" in text) is shown


@BOTH
def test_plain_lines_now_and_then(repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    repository.have(CASES)
    monkeypatch.setenv("STAND_IN_EVERY", "0")
    result = repository.run("--istio-egress", "conformance/dns", *more)
    assert "\x1b" not in result.stdout.str()
    result.stdout.fnmatch_lines(["istio-egress: dns 2/2 · 2 of 2 · 1 failed · * s"])
    monkeypatch.delenv("STAND_IN_EVERY")
    assert "2 of 2 ·" not in repository.run("--istio-egress", "conformance/dns", *more).stdout.str()
