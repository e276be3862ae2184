"""The order of modules where several workers share them: the longest first."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from pytest_istio_egress.model.case import documented
from pytest_istio_egress.plugin.case_order import longest_first

SHORT = "conformance/a/test_short.py::test_one"


def item(nodeid: str, *, fixtures: tuple[str, ...] = (), manifest: Path | None = None) -> pytest.Item:
    """Return a stub of a collected test; it has parameters where its id has them."""

    def test() -> None: ...

    case = documented(
        source="page/", summary="It is so", manifests=[str(manifest)] if manifest else [], fixtures=fixtures
    )
    parameters: dict[str, Any] = {"callspec": None} if "[" in nodeid else {}
    return cast(pytest.Item, SimpleNamespace(nodeid=nodeid, function=case(test), **parameters))


def order(*items: pytest.Item) -> list[str]:
    ordered = list(items)
    longest_first(ordered)
    return [each.nodeid for each in ordered]


@pytest.mark.parametrize("creates", ["kind: Deployment", "kind: Gateway\nspec:\n  gatewayClassName: istio"])
def test_module_with_own_pods_is_before_one_with_many_parameters(tmp_path: Path, creates: str) -> None:
    pods = tmp_path / "pods.yaml"
    pods.write_text(f"{creates}\n---\n{creates}\n")
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
def test_longer_module_is_first(longer: pytest.Item) -> None:
    assert order(item(f"{SHORT}[a]"), item(f"{SHORT}[b]"), longer)[0] == longer.nodeid


def test_missing_manifest_is_no_error_of_the_order(tmp_path: Path) -> None:
    assert order(item(SHORT, manifest=tmp_path / "gone.yaml")) == [SHORT]


def test_order_within_a_module_stays() -> None:
    one, other = f"{SHORT}[b]", f"{SHORT}[a]"
    steps = "conformance/b/test_x.py::test_in_steps"
    own = "tests/test_own.py::test_own"
    users = cast(pytest.Item, SimpleNamespace(nodeid=own, function=None))
    assert order(item(one), users, item(steps), item(other)) == [steps, one, other, own]
