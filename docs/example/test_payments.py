"""payments may reach api.stripe.test through the egress gateway, and nothing else."""

import pytest

from pytest_istio_egress import Egress, Hop, Outcome, Probe, blackholed, block_all, documented, get, tcp, tls, workload

PAYMENTS = workload("deployment/payments", namespace="payments")
SOMEWHERE = "192.0.2.1"  # an unused address: the sidecar routes by name, but curl needs an address


@documented(
    source="https://wiki.example.com/egress-rules#payments",
    summary="payments may reach api.stripe.test through the egress gateway, and nothing else",
    manifests=[],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://api.stripe.test/v1/charges", client=PAYMENTS, to=SOMEWHERE),
            Outcome(
                status=200,
                cluster="outbound|80|stripe|istio-egressgateway.istio-system.svc.cluster.local",
                gateway=Hop(cluster="outbound|80||api.stripe.test"),
            ),
            id="stripe-through-gateway",
        ),
        pytest.param(
            get("http://api.elsewhere.test/", client=PAYMENTS, to=SOMEWHERE),
            block_all(),
            id="another-host",
        ),
        pytest.param(
            tls("https://api.elsewhere.test/", client=PAYMENTS, to=SOMEWHERE),
            Outcome(exit=35, cluster="BlackHoleCluster", flags="UH"),
            id="another-host-by-tls",
        ),
        pytest.param(
            tcp("api.stripe.test", 5432, client=PAYMENTS, to=SOMEWHERE),
            blackholed(),
            id="another-port-of-stripe",
        ),
    ],
)
def test_payments(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
