"""A host without a ServiceEntry: 502."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, documented, get, reached


@documented(
    source="tasks/traffic-management/egress/egress-control/#controlled-access-to-external-services",
    summary="Without a ServiceEntry, the sidecar itself answers a request for an external host with 502",
    # Since Istio 1.2: the 502 comes from the route block_all; the HTTP port itself has to be known, else
    # there is no status.
    outcomes=["outbound-policy/unlisted-host-502"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://another.test/headers"),
            reached(),
            id="control-another-host",
        ),
        pytest.param(get("http://api.test/headers"), blocked_http(), id="not-listed"),
    ],
)
def test_host_without_entry_gets_502(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
