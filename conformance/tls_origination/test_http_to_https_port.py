"""A route from port 80 to port 443, where the DestinationRule originates TLS.

curl --HTTP :80--> sidecar, route to :443 --TLS--> outside:443
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, over_tls, reached


@documented(
    source="tasks/traffic-management/egress/egress-tls-origination/",
    summary="HTTP routed from port 80 to port 443, where a DestinationRule originates TLS, gets 200",
    outcomes=["tls-origination/http-to-https-port-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://to-port-443.test/headers"),
            reached(
                cluster=outbound("to-port-443.test", 443),
                server_saw=over_tls("to-port-443.test"),
            ),
            id="plain-http",
        ),
        # TLS in TLS: the external host finds no HTTP in the sidecar's TLS.
        pytest.param(
            get("https://to-port-443.test/headers"),
            Outcome(exit=35, cluster=outbound("to-port-443.test", 443)),
            id="the-clients-own-tls",
        ),
    ],
)
def test_http_routed_to_https_port_gets_tls(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
