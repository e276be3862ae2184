"""`istio-egress clean`: it shows first, removes only when told to, and only what ended runs left."""

import io
from collections.abc import Callable
from typing import Any

import pytest

from pytest_istio_egress.cli import clean as clean_command
from pytest_istio_egress.cli.main import main
from pytest_istio_egress.cluster import api as api_module
from pytest_istio_egress.cluster import mesh
from pytest_istio_egress.cluster import run_lease as lifetime
from pytest_istio_egress.cluster.run_lease import LeftoverRun

ENDED = LeftoverRun("dead22", ("egress-client-dead22-gw0", "egress-outside-dead22"), alive=False)
ALIVE = LeftoverRun("live22", ("egress-outside-live22",), alive=True)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def removed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A cluster with what two runs have in it; the runs whose things are removed."""
    gone: list[str] = []

    def remove(_: object, run: str, *, say: Callable[[str], None]) -> list[str]:
        say("removing")
        gone.append(run)
        return list(next(left.namespaces for left in (ENDED, ALIVE) if left.run == run))

    monkeypatch.setattr(clean_command, "chosen_context", lambda *_: (None, "here"))
    monkeypatch.setattr(api_module, "Api", lambda *_: None)
    monkeypatch.setattr(lifetime, "leftover_runs", lambda _: [ENDED, ALIVE])
    monkeypatch.setattr(lifetime, "remove", remove)
    monkeypatch.setattr(lifetime, "restore_mesh_config", lambda *_: None)
    monkeypatch.setattr(mesh, "meshes", lambda _: [])
    return gone


def answer(monkeypatch: pytest.MonkeyPatch, stdin: Any) -> None:
    monkeypatch.setattr("sys.stdin", stdin)


def test_without_anybody_to_ask_it_only_shows(
    removed: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(monkeypatch, io.StringIO("y\n"))
    assert main(["clean"]) == 0
    shown = capsys.readouterr().out
    assert all(namespace in shown for left in (ENDED, ALIVE) for namespace in left.namespaces)
    assert removed == []


@pytest.mark.parametrize(("typed", "expected"), [("y\n", ["dead22"]), ("\n", []), ("n\n", [])])
def test_on_a_terminal_it_asks(
    removed: list[str], monkeypatch: pytest.MonkeyPatch, typed: str, expected: list[str]
) -> None:
    answer(monkeypatch, Terminal(typed))
    assert main(["clean"]) == 0
    assert removed == expected


def test_yes_removes_what_ended_runs_left_and_no_other(removed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, Terminal(""))
    assert main(["clean", "--yes"]) == 0
    assert removed == ["dead22"]


def test_a_run_can_be_named_even_if_it_seems_alive(removed: list[str]) -> None:
    assert main(["clean", "--yes", "--run", "live22"]) == 0
    assert removed == ["live22"]
