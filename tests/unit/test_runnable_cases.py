"""Which shipped tests can run, and whether a run has any: otherwise no dry runs make a namespace."""

from __future__ import annotations

import pytest

from pytest_istio_egress.model.mesh_facts import Fact, MeshFacts
from pytest_istio_egress.run_target import Prepared, Target
from pytest_istio_egress.run_target.runnable_cases import can_run_any

GATEWAY_TEST = "conformance/egress_gateway/test_workload.py::test_gateway_pod_runs_router"
HTTP_TEST = "conformance/service_entry/test_http_host.py::test_http_entry_reached_from_its_namespace_only[listed]"


def prepared(**features: str | None) -> Prepared:
    target = Target("context", None, "mesh", "abcdef", (), 1.0, allow_mesh_wide=False)
    facts = MeshFacts({"istio": Fact("1.31.0"), "outbound-mode": Fact("REGISTRY_ONLY")})
    target = Target(**{**vars(target), "mesh": facts.to_mapping()})
    return Prepared(target, "v1.36.3", features={name.replace("_", "-"): why for name, why in features.items()})


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        ([], False),
        (["test_payments.py::test_rule[api]"], False),
        ([GATEWAY_TEST], False),
        ([GATEWAY_TEST, HTTP_TEST], True),
    ],
    ids=["none", "only-own-rules", "only-skipped", "one-that-can-run"],
)
def test_run_has_a_shipped_test_that_can_run(ids: list[str], expected: bool) -> None:  # noqa: FBT001  # pytest hands it over by name
    without_gateway = prepared(egress_gateway="no egress gateway found")
    assert can_run_any(ids, without_gateway, runs_mesh_wide=False) is expected
