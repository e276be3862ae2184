"""`istio-egress clean` shows the runs first, and deletes only ended ones, after a confirmation."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from pytest_istio_egress.cli import clean
from pytest_istio_egress.cli.main import main
from pytest_istio_egress.cluster import api as api_module
from pytest_istio_egress.cluster import mesh, run_lease
from pytest_istio_egress.cluster.run_lease import LeftoverRun

ENDED = LeftoverRun("dead22", ("egress-client-dead22-gw0", "egress-outside-dead22"), alive=False)
ALIVE = LeftoverRun("live22", ("egress-outside-live22",), alive=True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def deleted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The runs that are deleted from a cluster with an ended one and one that is alive."""
    deleted: list[str] = []

    def remove(_: object, run: str, *, say: Callable[[str], None]) -> list[str]:
        say("deleting")
        deleted.append(run)
        return list(next(each.namespaces for each in (ENDED, ALIVE) if each.run == run))

    monkeypatch.setattr(clean, "chosen_context", lambda *_: (None, "here"))
    monkeypatch.setattr(api_module.Api, "of_command", lambda *_: None)
    monkeypatch.setattr(run_lease, "leftover_runs", lambda _: [ENDED, ALIVE])
    monkeypatch.setattr(run_lease, "remove", remove)
    monkeypatch.setattr(run_lease, "restore_mesh_config", lambda *_: None)
    monkeypatch.setattr(mesh, "meshes", lambda _: [])
    return deleted


def answer(monkeypatch: pytest.MonkeyPatch, stdin: Any) -> None:
    monkeypatch.setattr("sys.stdin", stdin)


def test_clean_without_terminal_only_shows_the_runs(
    deleted: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, io.StringIO("y\n"))
    assert main(["clean"]) == 0
    shown = capsys.readouterr().out
    assert all(namespace in shown for run in (ENDED, ALIVE) for namespace in run.namespaces)
    assert deleted == []


@pytest.mark.parametrize(("typed", "expected"), [("y\n", ["dead22"]), ("\n", []), ("n\n", [])])
def test_clean_on_a_terminal_deletes_after_confirmation(
    deleted: list[str], monkeypatch: pytest.MonkeyPatch, typed: str, expected: list[str]
) -> None:
    answer(monkeypatch, Terminal(typed))
    assert main(["clean"]) == 0
    assert deleted == expected


def test_clean_with_yes_deletes_only_ended_runs(deleted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Terminal(""))
    assert main(["clean", "--yes"]) == 0
    assert deleted == ["dead22"]


def test_clean_with_run_deletes_that_run_even_if_it_is_alive(deleted: list[str]) -> None:
    assert main(["clean", "--yes", "--run", "live22"]) == 0
    assert deleted == ["live22"]
