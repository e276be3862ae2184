"""A TLS rule is applied while traffic flows, and its Secret is missing: plain HTTP continues until Envoy stops waiting.

curl -> sidecar: cluster without TLS                                   -> outside:80
                 the new one warms up, waits 15 s for its secret  ...  -> outside:80, plain HTTP as before
                 it takes over without the secret                      503
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached

NAME = outbound("late-rule.test")
PROBE = get("http://late-rule.test/headers")
IN_THE_CLEAR = reached(cluster=NAME, server_saw={"port": "8080"})
BESIDE = reached(cluster=outbound("beside-late-rule.test"))


@documented(
    source="https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/cluster_manager#cluster-warming",
    summary="If a rule's Secret is missing, the cluster without TLS stays in use for 15 s; then the answer is 503",
    requires=["http-1.1-upstream"],
    outcomes=["tls-origination/missing-secret-503"],
)
def test_missing_secret_ends_with_503(egress: Egress) -> None:
    egress.expect(PROBE, IN_THE_CLEAR)
    egress.apply("secret_missing_rule.yaml")
    secret = ["kubernetes://no-such-secret-cacert"]
    egress.check("Secrets that the proxy waits for", egress.config().awaited_secrets(), secret)
    if egress.in_cluster(NAME) in egress.config().warming_clusters():  # a very slow cluster may be past it
        egress.expect(PROBE, IN_THE_CLEAR)
    egress.wait_until(
        "the new cluster took over", lambda config: egress.in_cluster(NAME) not in config.warming_clusters()
    )
    egress.expect(get("http://beside-late-rule.test/headers"), BESIDE)
    egress.expect(PROBE, Outcome(status=503, cluster=NAME, flags=frozenset({"UF", "UF,URX", "URX,UF"})))
    egress.check(
        "Secrets that the proxy waits for after the cluster took over", egress.config().awaited_secrets(), secret
    )
    egress.remove("secret_missing_rule.yaml")
    egress.expect(PROBE, IN_THE_CLEAR)
