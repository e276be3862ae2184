"""A client that uses an HTTPS proxy itself: the mesh needs an entry for the proxy, not for the host behind it.

curl --CONNECT outside:443--> sidecar (TCP) -> forward proxy:3128 -> outside
                              line 1           line 2, by the sidecar's own port
"""

import pytest

from pytest_istio_egress import (
    Egress,
    Hop,
    Outcome,
    Probe,
    blocked_tcp,
    blocked_tls,
    documented,
    get,
    outbound,
    reached,
)

OUTSIDE = "outside.egress-outside.svc.cluster.local"
URL = f"https://{OUTSIDE}/headers"


def by_proxy(port: int) -> Probe:
    return get(URL, arguments=("--proxy", f"http://192.0.2.82:{port}"))


@documented(
    source="tasks/traffic-management/egress/http-proxy/",
    summary="With a TCP ServiceEntry for an HTTPS proxy, clients reach external hosts through that proxy",
    fixtures=["forward_proxy.yaml"],
    outcomes=["forward-proxy/client-connect-200"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            by_proxy(3128),
            reached(
                cluster=outbound("my-company-proxy.test", 3128),
                proxy=Hop(method="CONNECT", authority=f"{OUTSIDE}:443", status=200),
                source="proxy",
                connected_to="192.0.2.82",
            ),
            id="through-the-proxy",
        ),
        pytest.param(by_proxy(3129), blocked_tcp(), id="unlisted-port-of-the-proxy"),
        pytest.param(get(URL), blocked_tls(), id="past-the-proxy"),
    ],
)
def test_connect_by_client_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
