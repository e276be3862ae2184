"""The sidecar presents a client certificate from a Secret to the external host.

curl --HTTP--> sidecar --mutual TLS--> outside:444, demands a certificate
                 ^ SDS
               istiod <- Secret
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, over_tls, reached

WITHOUT_SECRET = frozenset({"NC", "UF", "UF,URX", "URX,UF"})
"""For 15 s Envoy holds back a cluster that waits for its Secret (NC); then the cluster takes over without it, and each
connection fails (UF; also URX after retries)."""


@documented(
    source="tasks/traffic-management/egress/egress-tls-origination/#mutual-tls-origination-for-egress-traffic",
    summary="A sidecar originates mutual TLS with a Secret of its namespace that its service account may read",
    outcomes=["tls-origination/mutual-secret-200-or-503"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://mutual.test/headers"),
            reached(server_saw={**over_tls("mutual.test", 444), "client-certificate": "CN=client"}),
            id="a-certificate-that-the-host-trusts",
        ),
        pytest.param(
            get("http://mutual-wrong-client.test/headers"),
            reached(
                status=400,
                details="via_upstream",
                body="The SSL certificate error",
                server_saw=over_tls("mutual-wrong-client.test", 444),
            ),
            id="a-certificate-that-it-does-not-trust",
        ),
        pytest.param(
            get("http://mutual-without.test/headers"),
            reached(
                status=400,
                details="via_upstream",
                body="No required SSL certificate was sent",
                server_saw={**over_tls("mutual-without.test", 444), "client-certificate": None},
            ),
            id="no-certificate",
        ),
        pytest.param(
            get("http://mutual-missing.test/headers"),
            Outcome(status=503, route="default", flags=WITHOUT_SECRET),
            id="no-such-secret",
        ),
    ],
)
def test_mutual_tls_presents_client_certificate(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/cluster_manager#cluster-warming",
    summary="A proxy waits only for the Secret that is missing; it has received the others",
    manifests=["mutual.yaml"],
    outcomes=["tls-origination/mutual-secret-200-or-503"],
)
def test_missing_secret_stays_awaited(egress: Egress) -> None:
    missing = ["kubernetes://no-such-secret", "kubernetes://no-such-secret-cacert"]
    egress.check("Secrets that the proxy waits for", egress.config().awaited_secrets(), missing)
