"""A route leads plain HTTP from port 80 to port 443, where the rule makes TLS of it.

curl --HTTP :80--> sidecar, route to :443 --TLS--> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, tls


@documented(
    source="tasks/traffic-management/egress/egress-tls-origination/",
    summary="A VirtualService that leads port 80 to port 443, where the rule makes TLS, gives 200",
    outcomes=["C7"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://to-port-443.test/headers"),
            Outcome(
                status=200,
                reached="outside",
                cluster="outbound|443||to-port-443.test",
                server_saw={"port": "8443", "server-name": "to-port-443.test"},
            ),
            id="plain-http",
        ),
        # TLS in TLS: the outside host finds no HTTP in what the sidecar wraps once more.
        pytest.param(
            tls("https://to-port-443.test/headers"),
            Outcome(exit=35, cluster="outbound|443||to-port-443.test"),
            id="the-clients-own-tls",
        ),
    ],
)
def test_to_port_443(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
