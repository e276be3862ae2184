"""With xdist: a module stays on one worker, and mesh-wide tests run last and alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace

import pytest
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.plugin.scheduler import WORKERS, CaseScheduler

CASE = """
    import json, os, time
    import pytest
    from stand_in import note

    @pytest.mark.parametrize("number", range({number}))
    def test_{name}(egress, number):
        began = time.monotonic()
        {body}
        # Long enough that two workers that get tests at the same time run them side by side.
        time.sleep(0.05)
        note("ran " + json.dumps({{
            "case": "{name}", "began": began, "ended": time.monotonic(), "worker": os.environ["PYTEST_XDIST_WORKER"],
        }}))
"""


@dataclass(frozen=True)
class Ran:
    case: str
    began: float
    ended: float
    worker: str


def case(name: str, number: int, body: str = "pass") -> str:
    return CASE.format(name=name, number=number, body=body)


def ran(repository: Repository) -> list[Ran]:
    lines = repository.notes_of("ran ")
    return sorted((Ran(**json.loads(line[4:])) for line in lines), key=lambda one: one.began)


def run_with(repository: Repository, workers: int, *arguments: str) -> pytest.RunResult:
    result: pytest.RunResult = repository.run(
        "--istio-egress", "--istio-egress-allow-mesh-wide", "-n", str(workers), *arguments
    )
    return result


@pytest.mark.parametrize(
    ("ordinary", "mesh_wide", "workers"),
    [
        ([3, 3, 3, 3], [2, 1], 2),
        ([6, 1], [1], 2),
        ([1], [3], 2),
        ([1, 1], [1], 4),
        ([], [2, 2], 2),
        ([5, 1, 1, 1, 1, 1], [9], 3),
        ([2, 2], [], 2),
    ],
)
def test_mesh_wide_tests_run_last_and_alone(
    repository: Repository, ordinary: list[int], mesh_wide: list[int], workers: int
) -> None:
    repository.write({f"many/test_o{index}.py": case(f"o{index}", size) for index, size in enumerate(ordinary)})
    repository.write({f"mesh_wide/test_m{index}.py": case(f"m{index}", size) for index, size in enumerate(mesh_wide)})
    folders = [f"conformance/{name}" for name, sizes in (("mesh_wide", mesh_wide), ("many", ordinary)) if sizes]
    result = run_with(repository, workers, *folders, "--deselect", "conformance/mesh_wide/test_policy.py")
    result.assert_outcomes(passed=sum(ordinary) + sum(mesh_wide))

    everything = ran(repository)
    alone = [one for one in everything if one.case.startswith("m")]
    beside = [one for one in everything if one.case.startswith("o")]
    assert everything == beside + alone
    assert all(one.ended <= alone[0].began for one in beside if alone)
    assert len({one.worker for one in alone}) == bool(alone)
    assert all(one.ended <= other.began for one, other in pairwise(alone))


def test_mesh_wide_tests_wait_for_the_slowest_worker(repository: Repository) -> None:
    repository.write(
        {
            "many/test_o0.py": case("o0", 2),
            "many/test_o1.py": case("o1", 2, "time.sleep(0.5)"),
            "mesh_wide/test_policy.py": case("m", 1),
        }
    )
    run_with(repository, 2, "conformance/many", "conformance/mesh_wide").assert_outcomes(passed=5)
    everything = ran(repository)
    assert everything[-1].case == "m"
    assert all(one.ended <= everything[-1].began for one in everything[:-1])


def test_module_stays_on_one_worker(repository: Repository) -> None:
    repository.write({f"many/test_o{index}.py": case(f"o{index}", 4) for index in range(4)})
    run_with(repository, 2, "conformance/many").assert_outcomes(passed=16)
    workers = {(one.case, one.worker) for one in ran(repository)}
    assert len(workers) == 4
    assert len({worker for _, worker in workers}) == 2


@pytest.mark.parametrize("arguments", [("--istio-egress",), ()], ids=["with", "without"])
def test_n_auto_is_four_workers_only_for_the_suite(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]
) -> None:
    monkeypatch.setenv("PYTEST_XDIST_AUTO_NUM_WORKERS", "1")  # xdist's own number
    config = pytester.parseconfig(*arguments)
    number = config.hook.pytest_xdist_auto_num_workers(config=config)
    assert number == (WORKERS if arguments else 1)


def test_crashed_workers_test_is_not_run_again(repository: Repository) -> None:
    dies = "os._exit(9) if number == 1 else None"
    repository.write({f"many/test_o{index}.py": case(f"o{index}", 3) for index in range(3)})
    repository.write({"many/test_dies.py": case("dies", 3, dies), "mesh_wide/test_m.py": case("m", 2)})
    result = run_with(repository, 2)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    everything = ran(repository)
    alone = [one for one in everything if one.case == "m"]
    assert [one.case for one in everything].count("dies") == 2
    assert len(alone) == 2
    assert all(one.ended <= alone[0].began for one in everything if one.case != "m")


class Node:
    """The part of a worker that the scheduler uses."""

    shutting_down = False

    def __init__(self, name: str) -> None:
        self.gateway = SimpleNamespace(id=name)
        self.handed: list[int] = []

    def shutdown(self) -> None:
        self.shutting_down = True

    def send_runtest_some(self, indices: list[int]) -> None:
        self.handed += indices


def test_replaced_worker_gets_no_tests_before_it_has_collected(pytester: pytest.Pytester) -> None:
    ids = [f"many/test_o{index}.py::test_o[{number}]" for index in range(3) for number in range(2)]
    seen: list[Sequence[str]] = []
    scheduler = CaseScheduler(pytester.parseconfig("--tx=2*popen"), None, seen.append)
    nodes = [Node("gw0"), Node("gw1")]
    for node in nodes:
        scheduler.add_node(node)
        assert not seen
        scheduler.add_node_collection(node, ids)
    scheduler.schedule()
    assert seen == [ids]

    replacement = Node("gw2")
    scheduler.add_node(replacement)
    first = scheduler.remove_node(nodes[0])
    scheduler.remove_node(nodes[1])
    assert first in ids
    assert replacement.handed == []
    scheduler.add_node_collection(replacement, ids)
    scheduler.schedule()
    assert replacement.handed
    assert ids.index(first) not in replacement.handed
    assert seen == [ids]


def test_mesh_wide_tests_are_last_without_xdist(repository: Repository) -> None:
    ids = repository.ids("--istio-egress-allow-mesh-wide", "conformance/mesh_wide", "conformance/dns")
    assert [name.split("/")[1] for name in ids] == ["dns", "mesh_wide"]


def test_xdist_without_the_switch_is_unchanged(repository: Repository) -> None:
    repository.pytester.makepyfile(
        test_own="""
        import os, pytest
        from stand_in import note

        @pytest.mark.parametrize("number", range(8))
        def test_own(number):
            note("own " + os.environ["PYTEST_XDIST_WORKER"])
        """
    )
    repository.run("-n", "2").assert_outcomes(passed=8)
    assert len(set(repository.notes_of("own"))) == 2
