"""REGISTRY_ONLY as the mesh's own mode, in a namespace without a Sidecar."""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_http, blocked_tcp, blocked_tls, documented, get, reached


@documented(
    source="tasks/traffic-management/egress/egress-control/#envoy-passthrough-to-external-services",
    summary="meshConfig.outboundTrafficPolicy REGISTRY_ONLY applies to every namespace without a Sidecar resource",
    requires=["registry-only-mesh"],
    outcomes=["outbound-policy/unlisted-host-502", "outbound-policy/unlisted-tls-handshake-fails"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://listed-by-mesh-mode.test/headers"),
            reached(),
            id="control-listed",
        ),
        pytest.param(get("http://unlisted-by-mesh-mode.test/headers"), blocked_http(), id="http-host-unlisted"),
        # A port that no Service of the mesh is likely to have: the scope is the whole mesh here.
        pytest.param(get("http://unlisted-by-mesh-mode.test:47811/headers"), blocked_tcp(), id="http-port-unlisted"),
        pytest.param(
            get("https://unlisted-by-mesh-mode.test:47811/headers"),
            blocked_tls(),
            id="tls-unlisted",
        ),
    ],
)
def test_unlisted_host_with_mesh_registry_only_blocked(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
