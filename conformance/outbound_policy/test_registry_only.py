"""REGISTRY_ONLY, set for a namespace by its Sidecar: unlisted traffic is blocked.

curl -> sidecar :80   -> route of listed.test -> outside
                      -> block_all (502)
                :8081 -> no listener -> BlackHoleCluster
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, blocked_tcp, blocked_tls, documented, get, reached


@documented(
    source="tasks/traffic-management/egress/egress-control/#change-to-the-blocking-by-default-policy",
    summary="With REGISTRY_ONLY a sidecar forwards traffic only to hosts in the service registry",
    outcomes=[
        "outbound-policy/unlisted-host-502",
        "outbound-policy/unlisted-host-blocked",
        "outbound-policy/blocked-unless-listed",
        "outbound-policy/unlisted-tls-handshake-fails",
        "outbound-policy/unlisted-tls-black-hole",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://listed.test/headers"),
            reached(),
            id="control-listed",
        ),
        pytest.param(get("http://unlisted.test/headers"), blocked_http(), id="http-host-unlisted"),
        pytest.param(get("http://unlisted.test:8081/headers"), blocked_tcp(), id="http-port-unlisted"),
        pytest.param(
            get("https://unlisted.test/headers"),
            blocked_tls(),
            id="tls-unlisted",
        ),
    ],
)
def test_unlisted_host_with_registry_only_blocked(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
