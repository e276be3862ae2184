"""REGISTRY_ONLY blocks nothing in an ambient mesh: ztunnel forwards connections to addresses that no entry has."""

import pytest

from pytest_istio_egress import AMBIENT, Egress, Outcome, Probe, documented, get, reached_by_ztunnel

POD = "192.0.2.180"


@documented(
    source="reference/config/istio.mesh.v1alpha1/#MeshConfig-OutboundTrafficPolicy",
    summary="ztunnel forwards connections to hosts outside of the registry although the mesh is REGISTRY_ONLY",
    manifests=[],
    requires=["ambient", "registry-only-mesh"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/registry-only-not-applied"],
    independent_of_manifests={"": "no policy of the mesh applies to an ambient client, with or without entries"},
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://ambient-unlisted.test:8080/headers", client=AMBIENT, to=POD),
            reached_by_ztunnel(service=""),
            id="http",
        ),
        pytest.param(
            get("https://ambient-unlisted.test:8443/headers", client=AMBIENT, to=POD),
            reached_by_ztunnel(service=""),
            id="tls",
        ),
    ],
)
def test_registry_only_mesh_does_not_block_ambient_client(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
