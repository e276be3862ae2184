"""A wildcard entry with resolution NONE: its hosts are reached at the address that the client connects to.

curl --SNI a.wild.test, to address X--> sidecar :443 -> *.wild.test -> X
     --SNI a.other.test-->                           -> BlackHoleCluster
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, blocked_tls, documented, get, outbound, reached

SECOND = "192.0.2.81"
TLS_CLUSTER = outbound("*.wild.test", 443)
HTTP_CLUSTER = outbound("*.wild.test")


def listed(name: str) -> Outcome:
    return reached(cluster=TLS_CLUSTER, server_saw={"server-name": name})


@documented(
    source="tasks/traffic-management/egress/wildcard-egress-hosts/#configure-direct-traffic-to-a-wildcard-host",
    summary="With REGISTRY_ONLY a ServiceEntry for *.DOMAIN with resolution NONE allows hosts below DOMAIN only",
    outcomes=["wildcard/resolution-none-hosts-below"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("https://a.wild.test/headers"), listed("a.wild.test"), id="one-host"),
        pytest.param(get("https://b.wild.test/headers"), listed("b.wild.test"), id="another-host"),
        pytest.param(
            get("http://a.wild.test/headers"),
            reached(cluster=HTTP_CLUSTER),
            id="http",
        ),
        # The sidecar keeps the client's address, whatever host is requested.
        pytest.param(
            get("http://a.wild.test/headers", to=SECOND),
            reached("second", cluster=HTTP_CLUSTER),
            id="address-of-the-client",
        ),
        pytest.param(
            get("https://a.other.test/headers"),
            blocked_tls(),
            id="other-domain",
        ),
        pytest.param(
            get("https://wild.test/headers"),
            blocked_tls(),
            id="the-domain-itself",
        ),
        pytest.param(get("http://wild.test/headers"), blocked_http(), id="http-the-domain-itself"),
    ],
)
def test_wildcard_with_resolution_none_opens_hosts_below(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
