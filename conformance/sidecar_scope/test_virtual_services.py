"""The egress hosts of a Sidecar limit which VirtualServices of other namespaces apply.

curl -> sidecar: rule-in-scope.test     -> the rule of egress-neighbour -> outside, with its header
                 rule-out-of-scope.test -> the default route            -> outside, without it
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached


@documented(
    source="reference/config/networking/sidecar/#IstioEgressListener",
    summary="A VirtualService of another namespace applies only if the Sidecar's egress hosts include it",
    outcomes=["sidecar/virtual-service-in-scope-applies"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://rule-in-scope.test/headers"),
            reached(route="by-rule", request_headers={"x-rule": "applied"}),
            id="included",
        ),
        pytest.param(
            get("http://rule-out-of-scope.test/headers"),
            reached(route="default", request_headers={"x-rule": None}),
            id="not-included",
        ),
    ],
)
def test_virtual_service_in_scope_applies(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
