"""ALLOW_ANY, Istio's default, as the mesh's mode; and Sidecars that override it.

Sidecar         none     no policy  empty policy     REGISTRY_ONLY     ALLOW_ANY     deleted again
unlisted host   200      200        502              502               200           200
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pytest_istio_egress import Egress, Outcome, blocked_http, blocked_tcp, documented, get, outbound, reached

if TYPE_CHECKING:
    # For annotations only: collecting the tests must not import the Kubernetes client.
    from pytest_istio_egress.cluster.proxy_config import ProxyConfig

LISTED = get("http://listed-in-an-open-mesh.test/headers")
UNLISTED = get("http://unlisted-in-an-open-mesh.test/headers")
UNLISTED_PORT = get("http://unlisted-in-an-open-mesh.test:47811/headers")
REACHED = reached("second", cluster=outbound("listed-in-an-open-mesh.test"))
PASSED = reached(cluster="PassthroughCluster")


def passes_through(config: ProxyConfig) -> bool:
    listener = config.listener("virtualOutbound")
    return listener is not None and any(chain.cluster == "PassthroughCluster" for chain in listener.chains)


def expect_requests(egress: Egress, http: Outcome, port: Outcome) -> None:
    egress.expect(LISTED, REACHED)
    egress.expect(UNLISTED, http)
    egress.expect(UNLISTED_PORT, port)


@documented(
    source="reference/config/istio.mesh.v1alpha1/#MeshConfig-OutboundTrafficPolicy",
    summary="With ALLOW_ANY as the mesh's mode, requests to unlisted hosts pass through unless a Sidecar's policy "
    "blocks them",
    requires=["http-1.1-upstream", "registry-only-mesh"],
    outcomes=[
        "outbound-policy/default-allow-any",
        "outbound-policy/allow-any-tls-200",
        "outbound-policy/sidecar-overrides-mesh",
    ],
)
def test_unlisted_host_with_mesh_allow_any_passed_through(egress: Egress) -> None:
    expect_requests(egress, blocked_http(), blocked_tcp())
    with egress.changed_mesh_config({"outboundTrafficPolicy": {"mode": "ALLOW_ANY"}}, passes_through):
        expect_requests(egress, PASSED, PASSED)
        egress.expect(
            get("https://unlisted-in-an-open-mesh.test:443/headers"),
            reached(cluster="PassthroughCluster", server_saw={"protocol": "HTTP/2.0"}),
        )
        egress.apply("../outbound_policy/policy_unset.yaml")
        expect_requests(egress, PASSED, PASSED)
        for manifest in ("policy_empty.yaml", "policy_registry_only.yaml"):
            egress.apply(f"../outbound_policy/{manifest}")
            expect_requests(egress, blocked_http(), blocked_tcp())
        egress.apply("../outbound_policy/policy_allow_any.yaml")
        expect_requests(egress, PASSED, PASSED)
        egress.remove("../outbound_policy/policy_allow_any.yaml")
        expect_requests(egress, PASSED, PASSED)
    expect_requests(egress, blocked_http(), blocked_tcp())


@documented(
    source="reference/config/istio.mesh.v1alpha1/#MeshConfig-OutboundTrafficPolicy",
    summary="In a mesh without outboundTrafficPolicy, requests to unlisted hosts pass through",
    # Since Istio 1.1: before, they were blocked; by 1.31: a policy that is there and names no mode is
    # REGISTRY_ONLY.
    manifests=["allow_any.yaml"],
    requires=["http-1.1-upstream", "registry-only-mesh"],
    outcomes=["outbound-policy/default-allow-any"],
)
def test_unlisted_host_without_mesh_policy_passed_through(egress: Egress) -> None:
    expect_requests(egress, blocked_http(), blocked_tcp())
    with egress.changed_mesh_config({"outboundTrafficPolicy": None}, passes_through):
        expect_requests(egress, PASSED, PASSED)
    expect_requests(egress, blocked_http(), blocked_tcp())
