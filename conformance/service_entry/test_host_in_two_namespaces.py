"""Two entries for one host, in the client's namespace and in another that exports it: the client's own applies.

curl in egress-client    -> sidecar -> outside, by the entry of its own namespace
curl in egress-neighbour -> sidecar -> second
"""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Outcome, Probe, documented, get, reached


@documented(
    source="https://istio.io/latest/news/releases/1.24.x/announcing-1.24/upgrade-notes/#sidecar-scoping-changes",
    summary="Of several ServiceEntries for a host a client uses that of its own namespace",
    fixtures=["neighbour_client.yaml"],
    outcomes=["service-entry/own-namespace-first"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://in-two-namespaces.test/headers"), reached(), id="in-the-clients-namespace"),
        pytest.param(
            get("http://in-two-namespaces.test/headers", client=NEIGHBOUR),
            reached("second"),
            id="in-the-neighbours-namespace",
        ),
        pytest.param(get("http://in-one-namespace.test/headers"), reached("second"), id="exported-only"),
    ],
)
def test_entry_of_own_namespace_applies(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
