"""payments may reach api.stripe.test through the egress gateway, and nothing else."""

import pytest

from pytest_istio_egress import (
    Egress,
    Hop,
    Outcome,
    Probe,
    blocked_http,
    blocked_tcp,
    blocked_tls,
    documented,
    get,
    outbound,
    tcp,
    workload,
)

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
                cluster=outbound("istio-egressgateway.istio-system.svc.cluster.local", subset="stripe"),
                gateway=Hop(cluster=outbound("api.stripe.test")),
            ),
            id="stripe-through-gateway",
        ),
        pytest.param(
            get("http://api.elsewhere.test/", client=PAYMENTS, to=SOMEWHERE),
            blocked_http(),
            id="another-host",
        ),
        pytest.param(
            get("https://api.elsewhere.test/", client=PAYMENTS, to=SOMEWHERE),
            blocked_tls(),
            id="another-host-by-tls",
        ),
        pytest.param(
            tcp("api.stripe.test", 5432, client=PAYMENTS, to=SOMEWHERE),
            blocked_tcp(),
            id="another-port-of-stripe",
        ),
    ],
)
def test_payments(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
