"""The waypoint originates TLS for the client's plain HTTP.

curl --HTTP--> ztunnel --HBONE--> waypoint --TLS, checks the certificate--> outside:443
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


@documented(
    source="tasks/traffic-management/egress/egress-tls-origination/#tls-origination-for-egress-traffic",
    summary="With TLS mode SIMPLE in a DestinationRule the waypoint originates TLS and verifies the host",
    requires=["ambient", "address-allocation", "secrets-for-proxies"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/tls-origination-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://originated.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(server_saw=over_tls("originated.test")),
            id="the-right-authority",
        ),
        pytest.param(
            get("http://originated-wrong-authority.test/headers", client=AMBIENT, to=None),
            ended_by_waypoint(status=503, waypoint=Hop(failure="CERTIFICATE_VERIFY_FAILED")),
            id="an-authority-that-did-not-sign-it",
        ),
        # nginx answers plain HTTP on its TLS port by itself.
        pytest.param(
            get("http://not-originated.test/headers", client=AMBIENT, to=None),
            reached_by_waypoint(status=400, server_saw={"port": "8443"}),
            id="without-a-rule",
        ),
    ],
)
def test_waypoint_originates_tls(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
