"""Which worker is given a module whose cases need a gateway, a second tenant, or a client that sees the whole mesh."""

from __future__ import annotations

import yaml

from pytest_istio_egress.cluster.names import OF_ONE_WORKER
from pytest_istio_egress.plugin.worker_affinity import OF_A_WORKER, WHOLE_MESH, WorkerAffinity, needs_by_module
from pytest_istio_egress.suite.discovery import fixtures_folder, shipped_cases, suite_folder

GATEWAY = frozenset({"gateway.yaml"})
FIRST, SECOND = "first worker", "second worker"


def after(*taken: tuple[str, str]) -> WorkerAffinity:
    """Return what is known when workers have taken modules; "a" and "b" need the gateway."""
    affinity = WorkerAffinity({"a": GATEWAY, "b": GATEWAY})
    for worker, module in taken:
        affinity.taken(worker, module)
    return affinity


def test_modules_come_in_their_order_where_nobody_has_what_they_need() -> None:
    assert after().best(FIRST, ["b", "plain"]) == "b"
    assert after().best(FIRST, ["plain", "b"]) == "plain"


def test_what_one_worker_has_is_left_to_it() -> None:
    affinity = after((FIRST, "a"))
    assert affinity.best(SECOND, ["b", "plain"]) == "plain"
    assert affinity.best(FIRST, ["b", "plain"]) == "b"


def test_a_worker_asks_first_what_would_cost_the_others_most() -> None:
    assert after((FIRST, "a")).best(FIRST, ["plain", "b"]) == "b"


def test_no_worker_idles_for_the_sake_of_what_another_has() -> None:
    assert after((FIRST, "a")).best(SECOND, ["b"]) == "b"


def test_a_worker_that_ended_took_along_what_it_had() -> None:
    affinity = after((FIRST, "a"))
    affinity.gone(FIRST)
    assert affinity.best(SECOND, ["b", "plain"]) == "b"


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
    needs = needs_by_module()
    assert "gateway.yaml" in needs["conformance/egress_gateway/test_authorization.py"]
    assert WHOLE_MESH in needs["conformance/registry_only/test_mesh_mode.py"]
    assert WHOLE_MESH in needs["conformance/service_entry/test_http_host.py"]  # its Sidecar shows all
    assert WHOLE_MESH not in needs["conformance/virtual_service/test_http_rules.py"]
