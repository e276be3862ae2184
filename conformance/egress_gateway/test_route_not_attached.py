"""A Gateway of the Gateway API takes routes of the namespaces that its listener allows, and no others.

curl -> sidecar -> gateway: attached.test     -> the route of egress-client           -> outside
                            not-attached.test -> 404; its route is in another namespace
"""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, documented, get, outbound, reached

GATEWAY = "attaching.egress-client"
SERVICE = outbound("attaching-istio.egress-client.svc.cluster.local")


@documented(
    source="https://gateway-api.sigs.k8s.io/concepts/security-model/",
    summary="An HTTPRoute of a namespace that the Gateway's listener does not allow has no effect",
    requires=["gateway-api"],
    outcomes=["egress-gateway/http-route-not-attached-404"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://attached.test/headers"),
            reached(
                cluster=SERVICE,
                gateway=Hop(at=GATEWAY, cluster=outbound("attached.test"), status=200),
                source="gateway",
            ),
            id="route-of-the-same-namespace",
        ),
        pytest.param(
            get("http://not-attached.test/headers"),
            Outcome(
                status=404,
                cluster=SERVICE,
                details="via_upstream",
                gateway=Hop(at=GATEWAY, status=404, flags="NR", details="route_not_found"),
            ),
            id="route-of-another-namespace",
        ),
    ],
)
def test_route_of_disallowed_namespace_not_attached(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
