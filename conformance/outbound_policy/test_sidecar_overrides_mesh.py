"""The Sidecar's outbound policy applies if it has one, otherwise the mesh's, which is REGISTRY_ONLY here.

Sidecar         none     no policy  empty policy     REGISTRY_ONLY     ALLOW_ANY     deleted again
unlisted host   502      502        502              502               200           502
"""

from pytest_istio_egress import Egress, Outcome, blocked_http, blocked_tcp, documented, get, outbound, reached

LISTED = get("http://listed-under-policies.test/headers")
UNLISTED = get("http://unlisted-under-policies.test/headers")
UNLISTED_PORT = get("http://unlisted-under-policies.test:47811/headers")
REACHED = reached(cluster=outbound("listed-under-policies.test"))
PASSED = reached(cluster="PassthroughCluster")


def expect_requests(egress: Egress, http: Outcome, port: Outcome) -> None:
    egress.expect_all((LISTED, REACHED), (UNLISTED, http), (UNLISTED_PORT, port))


@documented(
    source="reference/config/networking/sidecar/#OutboundTrafficPolicy",
    summary="A Sidecar's outbound policy overrides the mesh's; without one in a Sidecar, the mesh's policy applies",
    requires=["http-1.1-upstream", "registry-only-mesh"],
    outcomes=["outbound-policy/sidecar-overrides-mesh"],
)
def test_sidecar_policy_overrides_mesh_policy(egress: Egress) -> None:
    expect_requests(egress, blocked_http(), blocked_tcp())
    for manifest in ("policy_unset.yaml", "policy_empty.yaml", "policy_registry_only.yaml"):
        egress.apply(manifest)
        expect_requests(egress, blocked_http(), blocked_tcp())
    egress.apply("policy_allow_any.yaml")
    expect_requests(egress, PASSED, PASSED)
    egress.remove("policy_allow_any.yaml")
    expect_requests(egress, blocked_http(), blocked_tcp())
