"""The worker that gets a module whose tests need a gateway, a second tenant, or a client without a Sidecar."""

from __future__ import annotations

import yaml

from pytest_istio_egress.cluster.names import OF_ONE_WORKER
from pytest_istio_egress.plugin.worker_affinity import PER_WORKER, WHOLE_MESH, WorkerAffinity, needs_by_module
from pytest_istio_egress.suite.discovery import fixtures_folder, shipped_cases, suite_folder

GATEWAY, NEIGHBOUR = frozenset({"gateway.yaml"}), frozenset({"neighbour_client.yaml"})
FIRST, SECOND = "first worker", "second worker"


def after(*assigned: tuple[str, str]) -> WorkerAffinity:
    """Return the state after workers got modules; "a" and "b" need the gateway."""
    affinity = WorkerAffinity({"a": GATEWAY, "b": GATEWAY})
    for worker, module in assigned:
        affinity.assign(worker, module)
    return affinity


def test_scheduler_keeps_order_when_no_worker_has_the_fixtures() -> None:
    assert after().best(FIRST, ["b", "plain"]) == "b"
    assert after().best(FIRST, ["plain", "b"]) == "plain"


def test_module_goes_to_the_worker_that_has_its_fixtures() -> None:
    affinity = after((FIRST, "a"))
    assert affinity.best(SECOND, ["b", "plain"]) == "plain"
    assert affinity.best(FIRST, ["b", "plain"]) == "b"


def test_worker_starts_with_what_would_cost_the_others_most() -> None:
    assert after((FIRST, "a")).best(FIRST, ["plain", "b"]) == "b"


def test_worker_begins_with_what_costs_the_others_more() -> None:
    affinity = WorkerAffinity({"a": NEIGHBOUR, "everything": {WHOLE_MESH}, "both": NEIGHBOUR | {WHOLE_MESH}})
    affinity.assign(FIRST, "a")
    affinity.assign(SECOND, "everything")
    assert affinity.best(FIRST, ["plain", "both"]) == "both"  # half a second here, a pod there
    assert affinity.best(SECOND, ["both", "plain"]) == "plain"


def test_no_worker_idles_because_another_has_the_fixtures() -> None:
    assert after((FIRST, "a")).best(SECOND, ["b"]) == "b"


def test_fixtures_of_an_ended_worker_are_gone() -> None:
    affinity = after((FIRST, "a"))
    affinity.remove(FIRST)
    assert affinity.best(SECOND, ["b", "plain"]) == "b"


def test_per_worker_fixtures_are_those_in_its_namespaces() -> None:
    named = {name for shipped in shipped_cases(suite_folder()) if shipped.case for name in shipped.case.fixtures}
    own = set()
    for name in named:
        documents = yaml.safe_load_all((fixtures_folder() / name).read_text(encoding="utf-8"))
        pods = [document for document in documents if document["kind"] == "Deployment"]
        if any(pod["metadata"].get("namespace") in OF_ONE_WORKER for pod in pods):
            own.add(name)
    assert own == PER_WORKER


def test_needs_of_the_shipped_modules() -> None:
    needs = needs_by_module()
    assert "gateway.yaml" in needs["conformance/egress_gateway/test_authorization.py"]
    assert WHOLE_MESH in needs["conformance/outbound_policy/test_mesh_registry_only.py"]
    assert WHOLE_MESH in needs["conformance/service_entry/test_http_host.py"]  # its Sidecar lists all hosts
    assert WHOLE_MESH not in needs["conformance/virtual_service/test_http_rules.py"]
