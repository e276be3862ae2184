"""Which worker is given a module whose cases need a gateway or a second tenant of its own."""

from __future__ import annotations

import yaml

from pytest_istio_egress.cluster.names import OF_ONE_WORKER
from pytest_istio_egress.fixture_sharing import COPIES, OF_A_WORKER, FixtureSharing, fixtures_by_module
from pytest_istio_egress.suite import fixtures_folder, shipped_cases, suite_folder

GATEWAY = frozenset({"gateway.yaml"})
WORKERS = range(COPIES)
"""As many as may have a fixture."""
ANOTHER = COPIES


def shared_by(workers: range) -> FixtureSharing:
    """Return what is known when each of some workers has taken a module with the gateway."""
    sharing = FixtureSharing({"a": GATEWAY, "b": GATEWAY})
    for worker in workers:
        sharing.taken(worker, "a")
    return sharing


def test_modules_come_in_their_order_where_nobody_has_a_fixture() -> None:
    assert shared_by(range(0)).best(ANOTHER, ["b", "plain"]) == "b"


def test_as_long_as_few_have_a_fixture_another_worker_makes_it_too() -> None:
    assert shared_by(range(COPIES - 1)).best(ANOTHER, ["b", "plain"]) == "b"


def test_what_enough_workers_can_ask_is_left_to_them() -> None:
    sharing = shared_by(WORKERS)
    assert sharing.best(ANOTHER, ["b", "plain"]) == "plain"
    assert sharing.best(WORKERS[0], ["b", "plain"]) == "b"


def test_no_worker_idles_for_the_sake_of_a_fixture() -> None:
    assert shared_by(WORKERS).best(ANOTHER, ["b"]) == "b"


def test_a_worker_that_ended_took_its_fixtures_along() -> None:
    sharing = shared_by(WORKERS)
    sharing.gone(WORKERS[0])
    assert sharing.best(ANOTHER, ["b", "plain"]) == "b"


def test_a_workers_own_fixtures_are_those_in_a_workers_namespaces() -> None:
    named = {name for shipped in shipped_cases(suite_folder()) if shipped.case for name in shipped.case.fixtures}
    own = set()
    for name in named:
        documents = yaml.safe_load_all((fixtures_folder() / name).read_text(encoding="utf-8"))
        pods = [document for document in documents if document["kind"] == "Deployment"]
        if any(pod["metadata"].get("namespace") in OF_ONE_WORKER for pod in pods):
            own.add(name)
    assert own == OF_A_WORKER


def test_what_the_shipped_modules_need_is_known() -> None:
    assert "gateway.yaml" in fixtures_by_module()["conformance/egress_gateway/test_authorization.py"]
