"""What the rules of the users have in common: their workload, the hosts' addresses, and the ways to them."""

from pytest_istio_egress import Hop, Outcome, outbound, workload

PAYMENTS = workload("deployment/payments", namespace="payments")
GATEWAY = "istio-egressgateway.istio-system.svc.cluster.local"
A, B, MOODY, REDIRECTOR = (f"10.96.200.{number}" for number in (80, 81, 82, 83))
INSECURE = ("--insecure",)
WIKI = "https://wiki.example.com/egress#"


def through_gateway(subset: str, port: int, *, at_port: int = 80, status: int = 200) -> Outcome:
    """Expect an answer over the egress gateway."""
    return Outcome(
        status=status,
        cluster=outbound(GATEWAY, at_port, subset=subset),
        gateway=Hop(cluster=outbound("partner.test", port)),
    )


def directly(host: str, port: int = 80) -> Outcome:
    """Expect an answer through the sidecar alone."""
    return Outcome(status=200, cluster=outbound(host, port))
