"""BackendTLSPolicies whose targets are ServiceEntries: the waypoint originates TLS, and verifies the certificate.

curl --HTTP--> ztunnel --HBONE--> waypoint --TLS, as the policy states--> outside:443
"""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Hop,
    Outcome,
    Probe,
    documented,
    ended_by_waypoint,
    get,
    over_tls,
    reached_by_waypoint,
)

NOT_VERIFIED = Hop(failure="CERTIFICATE_VERIFY_FAILED")


@documented(
    source="https://istio.io/latest/news/releases/1.28.x/announcing-1.28/change-notes/#traffic-management",
    summary="A waypoint originates TLS to a ServiceEntry as the BackendTLSPolicy with the entry as target states",
    requires=["ambient", "address-allocation", "backend-tls-policy"],
    fixtures=["ambient.yaml"],
    outcomes=[
        "ambient/backend-tls-policy-200",
        "ambient/backend-tls-policy-other-certificate-503",
        "ambient/backend-tls-policy-one-port",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://originated-by-policy.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(server_saw=over_tls("originated-by-policy.test")),
            id="authority-and-name-of-the-policy",
        ),
        pytest.param(
            get("http://policy-wrong-authority.test/headers", client=AMBIENT, to=None),
            ended_by_waypoint(status=503, waypoint=NOT_VERIFIED),
            id="an-authority-that-did-not-sign-it",
        ),
        pytest.param(
            get("http://policy-wrong-name.test/headers", client=AMBIENT, to=None),
            ended_by_waypoint(status=503, waypoint=NOT_VERIFIED),
            id="a-name-that-it-does-not-have",
        ),
        pytest.param(
            get("http://policy-for-one-port.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(server_saw=over_tls("policy-for-one-port.test")),
            id="the-port-of-the-policy",
        ),
        pytest.param(
            get("http://policy-for-one-port.test:8081/headers", client=AMBIENT, to=None),
            reached_by_waypoint(),
            id="another-port",
        ),
    ],
)
def test_waypoint_originates_tls_by_backend_tls_policy(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
