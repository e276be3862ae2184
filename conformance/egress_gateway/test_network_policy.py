"""A NetworkPolicy blocks all egress traffic except through the gateway.

injected pod -> sidecar -> istio-egressgateway -> outside    stays open: istio-system is allowed
pod without a sidecar ------------------------x-> outside    closed: nothing answers
"""

from pytest_istio_egress import Egress, Hop, Outcome, documented, get, outbound, reached, reached_directly

STRAIGHT = "straight.egress-client"
STRAIGHT_OUT = reached_directly(source="client")
THROUGH_THE_GATEWAY = reached(
    cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local"),
    gateway=Hop(cluster=outbound("network-policy.test"), status=200),
    source="gateway",
)
# Allowed by the policy: a pod of the control plane, by a name that DNS resolves.
ISTIOD = get("http://istiod.istio-system.svc.cluster.local:15014/version", client=STRAIGHT, to=None)


@documented(
    source="tasks/traffic-management/egress/egress-gateway/#apply-kubernetes-network-policies",
    summary="With a NetworkPolicy that allows only istio-system and DNS, traffic leaves only through the gateway",
    requires=["http-1.1-upstream", "egress-gateway", "network-policy"],
    outcomes=[
        "network-policy/gateway-200",
        "network-policy/direct-times-out",
        "network-policy/dns-works",
        "network-policy/without-sidecar-times-out",
    ],
    # Since Kubernetes 1.21: namespaces carry kubernetes.io/metadata.name, and need no labels of their own.
)
def test_direct_request_under_network_policy_times_out(egress: Egress) -> None:
    past_the_gateway = get("http://network-policy.test/headers", client=STRAIGHT, max_time=3)
    through_the_gateway = get("http://network-policy.test/headers")
    by_a_name_from_dns = get(
        "http://istio-egressgateway.istio-system.svc.cluster.local/headers",
        headers={"Host": "network-policy.test"},
        to=None,
    )
    egress.expect_all((past_the_gateway, STRAIGHT_OUT), (through_the_gateway, THROUGH_THE_GATEWAY))

    egress.apply("network_policy_enforced.yaml")
    egress.expect_all(
        # The control: istio-system and DNS stay reachable, so the policy is what blocks the rest.
        (ISTIOD, Outcome(status=200, sidecar=False)),
        (past_the_gateway, Outcome(exit=28, sidecar=False)),
        (through_the_gateway, THROUGH_THE_GATEWAY),
        (by_a_name_from_dns, THROUGH_THE_GATEWAY),
    )

    egress.remove("network_policy_enforced.yaml")
    egress.expect(past_the_gateway, STRAIGHT_OUT)
