"""istiod hands a Secret to those proxies only whose service account may list the namespace's Secrets.

sleep          (account default)         -> sidecar --mutual TLS--> outside:444
without-rights (account without-rights)  -> sidecar, which never gets the Secret
"""

from pytest_istio_egress import Egress, Outcome, documented, get

WITHOUT_RIGHTS = "without-rights.egress-client"


@documented(
    at="tasks/traffic-management/egress/egress-tls-origination/#mutual-tls-origination-for-egress-traffic",
    says="A sidecar whose service account may not read the Secret can't originate TLS with it: 503",
    rows=["C2"],
)
def test_secret_without_rights(egress: Egress) -> None:
    # The entry comes with its rule: Envoy would keep a cluster without TLS until the one with it has its secret.
    # Both come after the clients: a proxy that starts with such a cluster waits 15 s before it is ready.
    egress.apply("secret_without_rights_rules.yaml")
    egress.expect(
        get("http://with-rights.test/headers"),
        Outcome(
            status=200,
            reached="outside",
            cluster="outbound|80||with-rights.test",
            far_end={"client-certificate": "CN=client"},
        ),
    )
    egress.expect(
        get("http://without-a-secret.test:8081/headers", client=WITHOUT_RIGHTS),
        Outcome(status=200, reached="outside", cluster="outbound|8081||without-a-secret.test"),
    )
    # For 15 s Envoy keeps the cluster back (NC), then it has one without a secret (UF): the answer is 503 both times.
    egress.expect(
        get("http://without-rights.test/headers", client=WITHOUT_RIGHTS), Outcome(status=503, route="default")
    )
