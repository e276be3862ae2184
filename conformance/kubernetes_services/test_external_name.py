"""An ExternalName Service: a name in the cluster for an external host.

without sidecar  curl --DNS: my-httpbin is outside--> outside                   Host: my-httpbin
with sidecar     curl --> sidecar --route of the host it names--> outside       Host: my-httpbin, Envoy's headers
"""

import pytest

from pytest_istio_egress import PLAIN, Egress, Outcome, Probe, documented, get, outbound, reached, reached_directly

ALIAS = "my-httpbin.egress-client.svc.cluster.local"
NAMED = "outside.egress-outside.svc.cluster.local"
PAGE = "tasks/traffic-management/egress/egress-kubernetes-services/"

BY_ENVOY = ("x-envoy-attempt-count", "x-request-id", "x-forwarded-proto")
BY_TRACING = ("x-envoy-decorator-operation", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled")
ZIPKIN = "envoy.tracers.zipkin"


@documented(
    source=f"{PAGE}#kubernetes-externalname-service-to-access-an-external-service",
    summary="An ExternalName Service reaches its host without and with a sidecar; the sidecar adds Envoy's headers",
    # Since Istio 1.21: the Service is an alias, so the cluster names its external host; 1.8: X-Istio-Attributes is gone
    # with Mixer.
    outcomes=[
        "external-name/without-sidecar-200",
        "external-name/without-sidecar-host-header",
        "external-name/with-sidecar-200",
        "external-name/with-sidecar-host-header",
        "external-name/sidecar-attributes-header",
        "injection/no-envoy-headers-without-sidecar",
        "external-name/200-and-envoy-headers",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get(f"http://{ALIAS}/headers", client=PLAIN),
            reached_directly(source="client", request_headers={"host": ALIAS, **dict.fromkeys(BY_ENVOY + BY_TRACING)}),
            id="without-sidecar",
        ),
        pytest.param(
            get(f"http://{ALIAS}/headers"),
            reached(
                cluster=outbound(NAMED),
                details="via_upstream",
                source="client",
                request_headers={"host": ALIAS, **dict.fromkeys(BY_ENVOY, "*"), "x-istio-attributes": None},
            ),
            id="with-sidecar",
        ),
        # The sidecar resolves the external name itself, whatever address the client connects to.
        pytest.param(
            get(f"http://{ALIAS}/headers", arguments=("--resolve", f"{ALIAS}:80:192.0.2.81")),
            reached(cluster=outbound(NAMED)),
            id="with-sidecar-to-another-address",
        ),
    ],
)
def test_external_name_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=f"{PAGE}#kubernetes-externalname-service-to-access-an-external-service",
    summary="With tracing the sidecar adds the operation to the request, and with a Zipkin provider the B3 headers",
    manifests=["external_name.yaml"],
    requires=["http-1.1-upstream", "tracing"],
    # Since Istio 1.21: the operation names the external host, which the Service is an alias of; 1.22: without a tracing
    # provider there are no B3 headers.
    outcomes=["external-name/sidecar-decorator-header", "external-name/sidecar-b3-headers"],
)
def test_traced_request_to_external_name_has_headers(egress: Egress) -> None:
    headers: dict[str, str | None] = {"x-envoy-decorator-operation": f"{NAMED}:80/*"}
    provider = egress.config().tracing_provider()
    if provider in (None, ZIPKIN):  # other providers have headers of their own
        headers |= dict.fromkeys(("x-b3-traceid", "x-b3-spanid", "x-b3-sampled"), "*" if provider else None)
    egress.expect(get(f"http://{ALIAS}/headers"), reached(cluster=outbound(NAMED), request_headers=headers))


@documented(
    source=f"{PAGE}#kubernetes-externalname-service-to-access-an-external-service",
    summary="A Service of type ExternalName has no cluster IP, only the name of the external host",
    manifests=["external_name.yaml"],
    outcomes=["external-name/no-cluster-ip"],
)
def test_external_name_has_no_cluster_ip(egress: Egress) -> None:
    spec = egress.resource("v1", "Service", "my-httpbin")["spec"]
    egress.check("cluster IP of the Service", spec.get("clusterIP"), None)
    egress.check("external name of the Service", spec.get("externalName"), egress.in_cluster(NAMED))
