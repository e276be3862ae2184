"""A VirtualService does not open a host: without a ServiceEntry there is no cluster for it."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, reached


@documented(
    source="tasks/traffic-management/egress/egress-control/#manage-traffic-to-external-services",
    summary="A VirtualService without a ServiceEntry does not open a host: its route refers to a missing cluster",
    # The host is then known to the route, so the answer is 503 with flag NC and no longer the 502 of
    # block_all.
    outcomes=["virtual-service/without-entry-blocked"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://ruled.test/headers"),
            reached(),
            id="control-listed",
        ),
        pytest.param(
            get("http://ruled-unlisted.test/headers"),
            Outcome(status=503, flags="NC", details="cluster_not_found"),
            id="virtual-service-only",
        ),
    ],
)
def test_virtual_service_without_entry_not_reached(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
