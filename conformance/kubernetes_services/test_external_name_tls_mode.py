"""A DestinationRule for an ExternalName Service has no effect; one for the host that it names has.

curl -> sidecar: route of the alias -> cluster of the named host -> outside:80, which speaks no TLS
                 (a rule here has no effect)           (a rule here sets the TLS mode)
"""

from pytest_istio_egress import Egress, Outcome, documented, get, outbound, reached

ALIAS = "my-unencrypted.egress-client.svc.cluster.local"
CLUSTER = outbound("outside.egress-outside.svc.cluster.local")
PAGE = "tasks/traffic-management/egress/egress-kubernetes-services/"

UNENCRYPTED = reached(cluster=CLUSTER, request_headers={"host": ALIAS})
CONTROL = reached(cluster=outbound("beside-my-unencrypted.test"))


@documented(
    source=f"{PAGE}#kubernetes-externalname-service-to-access-an-external-service",
    summary="Plain HTTP to an ExternalName Service leaves unencrypted, whatever TLS mode a rule for it sets",
    # Since Istio 1.21: the Service is an alias, so a DestinationRule on its name is inert, DISABLE as well as
    # SIMPLE; what counts is the rule of the host it names.
    requires=["http-1.1-upstream"],
    outcomes=["external-name/tls-disable-plain-http", "external-name/200-and-envoy-headers"],
)
def test_tls_mode_on_external_name_ignored(egress: Egress) -> None:
    probe = get(f"http://{ALIAS}/headers")
    egress.expect(probe, UNENCRYPTED)
    egress.apply("external_name_tls_simple.yaml")
    egress.expect(probe, UNENCRYPTED)
    egress.apply("named_host_tls_simple.yaml")
    egress.expect_all(
        (get("http://beside-my-unencrypted.test/headers"), CONTROL),
        (probe, Outcome(status=503, cluster=CLUSTER, failure="WRONG_VERSION_NUMBER")),
    )
    egress.remove("named_host_tls_simple.yaml")
    egress.expect(probe, UNENCRYPTED)
