"""The route at the gateway adds a request header, which the external host receives.

curl -> sidecar -> istio-egressgateway:80, adds x-from-the-gateway -> outside
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, documented, get, outbound, reached


@documented(
    source="reference/config/networking/virtual-service/#Headers",
    summary="A request header added by the route at the gateway reaches the external host",
    requires=["egress-gateway"],
    outcomes=["egress-gateway/added-header-arrives"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://added-header.test/headers"),
            reached(
                cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local"),
                gateway=Hop(cluster=outbound("added-header.test")),
                request_headers={"x-from-the-gateway": "added"},
            ),
            id="through-the-gateway",
        ),
        pytest.param(
            get("http://added-header.test/headers", headers={"x-from-the-gateway": "own"}),
            reached(
                cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local"),
                gateway=Hop(cluster=outbound("added-header.test")),
                request_headers={"x-from-the-gateway": "own, added"},
            ),
            id="beside-the-clients-own",
        ),
        pytest.param(
            get("http://no-added-header.test/headers"),
            reached(source="client", request_headers={"x-from-the-gateway": None}),
            id="past-the-gateway",
        ),
    ],
)
def test_header_of_gateway_route_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
