"""istiod sends a Secret only to proxies whose service account may list the namespace's Secrets.

sleep          (account default)         -> sidecar --mutual TLS--> outside:444
without-rights (account without-rights)  -> sidecar, which never gets the Secret
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, over_tls, reached

WITHOUT_RIGHTS = "without-rights.egress-client"
WITHOUT_SECRET = frozenset({"NC", "UF", "UF,URX", "URX,UF"})
"""For 15 s Envoy holds back a cluster that waits for its Secret (NC); then the cluster takes over without it, and each
connection fails (UF; also URX after retries)."""


@documented(
    source="tasks/traffic-management/egress/egress-tls-origination/#mutual-tls-origination-for-egress-traffic",
    summary="A sidecar whose service account may not read the Secret cannot originate TLS with it: 503",
    requires=["http-1.1-upstream"],
    outcomes=["tls-origination/mutual-secret-200-or-503"],
)
def test_forbidden_secret_ends_with_503(egress: Egress) -> None:
    # The entry is applied with its rule: otherwise Envoy keeps a cluster without TLS until the Secret arrives.
    # Both after the clients: a proxy that starts with such a cluster waits 15 s before it is ready.
    egress.apply("secret_forbidden_rules.yaml")
    egress.expect(
        get("http://with-rights.test/headers"),
        reached(
            cluster=outbound("with-rights.test"),
            server_saw={**over_tls("with-rights.test", 444), "client-certificate": "CN=client"},
        ),
    )
    egress.expect(
        get("http://without-a-secret.test:8081/headers", client=WITHOUT_RIGHTS),
        reached(cluster=outbound("without-a-secret.test", 8081)),
    )
    egress.expect(
        get("http://without-rights.test/headers", client=WITHOUT_RIGHTS),
        Outcome(status=503, route="default", flags=WITHOUT_SECRET),
    )
    egress.check("Secrets that the proxy with rights waits for", egress.config().awaited_secrets(), [])
    # By Istio 1.31 the CA certificate is not treated as a Secret and is sent: only certificate and key are missing.
    awaited = [name for name in egress.config(WITHOUT_RIGHTS).awaited_secrets() if not name.endswith("-cacert")]
    egress.check("Secrets that the proxy without rights waits for", awaited, ["kubernetes://client"])
