"""A wildcard entry of resolution DYNAMIC_DNS: the waypoint resolves the host of each request."""

import pytest

from pytest_istio_egress import AMBIENT, Egress, Hop, Outcome, Probe, Tunnel, documented, get, reached_by_waypoint

DOMAIN = "egress-outside.svc.cluster.local"
TUNNEL = Tunnel(hbone=True)


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-Resolution",
    summary="At a waypoint a wildcard ServiceEntry with resolution DYNAMIC_DNS reaches matching hosts only",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=[
        "ambient/dynamic-dns-any-host-below",
        "ambient/dynamic-dns-other-host-404",
        "wildcard/waypoint-other-host-404",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get(f"http://absent.{DOMAIN}/headers", client=AMBIENT, to=None, headers={"Host": f"outside.{DOMAIN}"}),
            reached_by_waypoint(waypoint=Hop(details="via_upstream"), ztunnel=TUNNEL),
            id="one-host",
        ),
        pytest.param(
            get(f"http://absent.{DOMAIN}/headers", client=AMBIENT, to=None, headers={"Host": f"second.{DOMAIN}"}),
            reached_by_waypoint("second", waypoint=Hop(details="via_upstream"), ztunnel=TUNNEL),
            id="another-host",
        ),
        pytest.param(
            get(f"http://absent.{DOMAIN}/headers", client=AMBIENT, to=None, headers={"Host": "outside-of-domain.test"}),
            Outcome(
                status=404,
                sidecar=False,
                ztunnel=TUNNEL,
                waypoint=Hop(flags="NR", details="route_not_found", at="waypoint.egress-ambient"),
            ),
            id="host-outside-of-the-domain",
        ),
    ],
)
def test_waypoint_resolves_hosts_of_wildcard(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
