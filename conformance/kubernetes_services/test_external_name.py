"""An ExternalName Service: a name in the cluster for an external host.

without sidecar  curl --DNS: my-httpbin is outside--> outside                   Host: my-httpbin
with sidecar     curl --> sidecar --route of the host it names--> outside       Host: my-httpbin, Envoy's headers
"""

import pytest

from pytest_istio_egress import PLAIN, Egress, Outcome, Probe, documented, get, outbound, reached, reached_directly

ALIAS = "my-httpbin.egress-client.svc.cluster.local"
NAMED = "outside.egress-outside.svc.cluster.local"
PAGE = "tasks/traffic-management/egress/egress-kubernetes-services/"

BY_ENVOY = ("x-envoy-decorator-operation", "x-envoy-attempt-count", "x-request-id", "x-forwarded-proto")
BEFORE = ("x-istio-attributes", "x-b3-traceid", "x-b3-spanid", "x-b3-sampled")


@documented(
    source=f"{PAGE}#kubernetes-externalname-service-to-access-an-external-service",
    summary="An ExternalName Service reaches its host without and with a sidecar; the sidecar adds Envoy's headers",
    # Since Istio 1.21: the Service is an alias, so cluster and decorator name its external host; 1.8:
    # X-Istio-Attributes is gone with Mixer; 1.22: X-B3-* come only with a tracing provider.
    outcomes=[
        "external-name/without-sidecar-200",
        "external-name/without-sidecar-host-header",
        "external-name/with-sidecar-200",
        "external-name/with-sidecar-host-header",
        "external-name/sidecar-decorator-header",
        "external-name/sidecar-b3-headers",
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
            reached_directly(source="client", request_headers={"host": ALIAS, **dict.fromkeys(BY_ENVOY + BEFORE)}),
            id="without-sidecar",
        ),
        pytest.param(
            get(f"http://{ALIAS}/headers"),
            reached(
                cluster=outbound(NAMED),
                details="via_upstream",
                source="client",
                request_headers={
                    "host": ALIAS,
                    **dict.fromkeys(BY_ENVOY, "*"),
                    **dict.fromkeys(BEFORE),
                    "x-envoy-decorator-operation": f"{NAMED}:80/*",
                },
            ),
            id="with-sidecar",
        ),
    ],
)
def test_external_name_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


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
