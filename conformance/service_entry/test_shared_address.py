"""Two TCP entries that share an address: which one takes a connection.

:47811  first .80, second .80 and .81           .80 -> first        .81 -> second
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, outbound, reached, tcp


@documented(
    source="reference/config/networking/service-entry/",
    summary="An address that two TCP entries share goes to the first entry, and the other address of the second to it",
    # Since Istio 1.24.3: before, istiod sent a listener that Envoy rejected (istio/istio issue 52847).
    min_istio="1.24.3",
    outcomes=["service-entry/overlapping-cidrs-most-specific"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            tcp("192.0.2.80", 47811),
            reached("outside", cluster=outbound("first-that-shares.test", 47811)),
            id="shared",
        ),
        pytest.param(
            tcp("192.0.2.81", 47811),
            reached("second", cluster=outbound("second-that-shares.test", 47811)),
            id="not-shared",
        ),
    ],
)
def test_shared_address_taken_by_first_entry(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
