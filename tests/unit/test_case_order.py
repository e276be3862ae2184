"""Which modules are begun first where several workers share them."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.model.case import documented
from pytest_istio_egress.plugin.case_order import longest_first

SHORT = "conformance/a/test_short.py::test_one"


def item(nodeid: str, *, fixtures: tuple[str, ...] = (), manifest: Path | None = None) -> pytest.Item:
    """Stand in for a collected test of a case; it has parameters where its id says so."""

    def test() -> None: ...

    case = documented(
        source="page/", summary="It is so", manifests=[str(manifest)] if manifest else [], fixtures=fixtures
    )
    parameters: dict[str, Any] = {"callspec": None} if "[" in nodeid else {}
    return cast(pytest.Item, SimpleNamespace(nodeid=nodeid, function=case(test), **parameters))


def order(*items: pytest.Item) -> list[str]:
    found = list(items)
    longest_first(found)
    return [each.nodeid for each in found]


def test_a_module_whose_cases_bring_pods_is_begun_before_one_with_many_parameters(tmp_path: Path) -> None:
    pods = tmp_path / "pods.yaml"
    pods.write_text("kind: Deployment\n---\nkind: Deployment\n")
    many = [f"conformance/a/test_many.py::test_it[{number}]" for number in range(20)]
    heavy = "conformance/b/test_heavy.py::test_it[one]"
    assert order(*map(item, many), item(heavy, manifest=pods)) == [heavy, *many]


@pytest.mark.parametrize(
    "longer",
    [
        pytest.param(item("conformance/b/test_x.py::test_in_steps"), id="several-steps"),
        pytest.param(item("conformance/b/test_x.py::test_it[a]", fixtures=("proxy.yaml",)), id="a-fixture"),
    ],
)
def test_what_takes_longer_is_begun_first(longer: pytest.Item) -> None:
    assert order(item(f"{SHORT}[a]"), item(f"{SHORT}[b]"), longer)[0] == longer.nodeid


def test_a_manifest_that_is_not_there_is_not_told_here(tmp_path: Path) -> None:
    assert order(item(SHORT, manifest=tmp_path / "gone.yaml")) == [SHORT]


def test_a_modules_own_order_stays_and_nothing_is_lost() -> None:
    one, other = f"{SHORT}[b]", f"{SHORT}[a]"
    steps = "conformance/b/test_x.py::test_in_steps"
    own = "tests/test_of_the_users.py::test_of_the_users"
    users = cast(pytest.Item, SimpleNamespace(nodeid=own, function=None))
    assert order(item(one), users, item(steps), item(other)) == [steps, one, other, own]
