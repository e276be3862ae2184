"""Sidecars with one egress port each: two clients, two hosts, two ports, eight outcomes.

                            egress-neighbour       egress-client
    from                    :80        :8080       :80        :8080
    egress-client           200        dropped     502        dropped      (Sidecar: port 80, egress-neighbour/*)
    egress-neighbour        dropped    200         dropped    200          (Sidecar: port 8080, ./* and egress-client/*)

Dropped: no listener for that port, so the connection ends in BlackHoleCluster. 502: the port has a listener, whose
routes do not have the host.
"""

import pytest

from pytest_istio_egress import (
    CLIENT,
    NEIGHBOUR,
    Egress,
    Outcome,
    Probe,
    blocked_http,
    blocked_tcp,
    documented,
    get,
    outbound,
)

HERE = "helloworld.egress-client.svc.cluster.local"
THERE = "helloworld.egress-neighbour.svc.cluster.local"

AGENT = {"agent": "STATIC", "prometheus_stats": "STATIC", "sds-grpc": "STATIC", "xds-grpc": "STATIC"}
BUILT_IN = {
    "BlackHoleCluster": "STATIC",
    "InboundPassthroughCluster": "ORIGINAL_DST",
    "PassthroughCluster": "ORIGINAL_DST",
}
INBOUND = "inbound|8080||"
INBOUND_TYPES = ("ORIGINAL_DST", "STATIC")
"""By meshConfig.inboundTrafficPolicy: to the address that the client used, or to localhost."""

SUMMARY = "A Sidecar with an egress port limits its namespace to that port and to the hosts listed for it"


def answered_by_service(host: str, port: int) -> Outcome:
    return Outcome(
        status=200,
        cluster=outbound(host, port),
        details="via_upstream",
        response_headers={"server": "envoy", "x-envoy-upstream-service-time": "*"},
    )


def answered_here() -> Outcome:
    return blocked_http(response_headers={"server": "envoy", "x-envoy-upstream-service-time": None})


@documented(
    source="reference/config/networking/sidecar/",
    summary=SUMMARY,
    fixtures=["neighbour_client.yaml"],
    # Documented is exit 56 for a dropped connection; 52 is the same, seen when FIN wins the race against RST.
    outcomes=[
        "sidecar/namespace-and-port-matrix",
        "sidecar/default-to-foo-80-200",
        "sidecar/default-to-foo-8080-dropped",
        "sidecar/default-to-default-80-502",
        "sidecar/default-to-default-8080-dropped",
        "sidecar/foo-to-foo-80-dropped",
        "sidecar/foo-to-foo-8080-200",
        "sidecar/foo-to-default-80-dropped",
        "sidecar/foo-to-default-8080-200",
        "sidecar/response-headers-of-200",
        "sidecar/response-headers-of-502",
        "sidecar/access-log-of-502",
        "sidecar/access-log-of-drop",
        "sidecar/out-of-scope-http-502",
    ],
    independent_of_manifests=dict.fromkeys(
        ("client-to-neighbour-80", "neighbour-to-neighbour-8080", "neighbour-to-client-8080"),
        "a control: reached without a Sidecar too, which shows that the Sidecar blocks the others",
    ),
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get(f"http://{THERE}:80/headers"), answered_by_service(THERE, 80), id="client-to-neighbour-80"),
        pytest.param(get(f"http://{THERE}:8080/headers"), blocked_tcp(), id="client-to-neighbour-8080"),
        pytest.param(get(f"http://{HERE}:80/headers"), answered_here(), id="client-to-client-80"),
        pytest.param(get(f"http://{HERE}:8080/headers"), blocked_tcp(), id="client-to-client-8080"),
        pytest.param(
            get(f"http://{THERE}:80/headers", client=NEIGHBOUR), blocked_tcp(), id="neighbour-to-neighbour-80"
        ),
        pytest.param(
            get(f"http://{THERE}:8080/headers", client=NEIGHBOUR),
            answered_by_service(THERE, 8080),
            id="neighbour-to-neighbour-8080",
        ),
        pytest.param(get(f"http://{HERE}:80/headers", client=NEIGHBOUR), blocked_tcp(), id="neighbour-to-client-80"),
        pytest.param(
            get(f"http://{HERE}:8080/headers", client=NEIGHBOUR),
            answered_by_service(HERE, 8080),
            id="neighbour-to-client-8080",
        ),
    ],
)
def test_service_out_of_scope_blocked(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/sidecar/",
    summary="A proxy has outbound clusters for the Services in its Sidecar's scope only",
    manifests=["ports_and_namespaces.yaml"],
    fixtures=["neighbour_client.yaml"],
    outcomes=["sidecar/clusters-in-scope", "sidecar/clusters-of-default", "sidecar/clusters-of-foo"],
)
@pytest.mark.parametrize(
    ("client", "services"),
    [
        pytest.param(CLIENT, [(THERE, "80")], id="client"),
        pytest.param(NEIGHBOUR, [(HERE, "8080"), (THERE, "8080")], id="neighbour"),
    ],
)
def test_outbound_clusters_limited_to_scope(egress: Egress, client: str, services: list[tuple[str, str]]) -> None:
    listed = [(host, port) for host, port in egress.config(client).outbound() if host not in egress.telemetry_services]
    egress.check("outbound clusters", listed, [(egress.in_cluster(host), port) for host, port in services])


@documented(
    source="ops/diagnostic-tools/proxy-cmd/",
    summary="Every proxy has BlackHoleCluster (STATIC, no endpoints) and PassthroughCluster (ORIGINAL_DST)",
    manifests=["ports_and_namespaces.yaml"],
    fixtures=["neighbour_client.yaml"],
    outcomes=["sidecar/cluster-black-hole", "sidecar/cluster-passthrough"],
    independent_of_manifests={
        "": "every proxy has these clusters, with any configuration",
    },
)
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("BlackHoleCluster", "STATIC"),
        ("PassthroughCluster", "ORIGINAL_DST"),
        ("InboundPassthroughCluster", "ORIGINAL_DST"),
    ],
)
@pytest.mark.parametrize("client", [CLIENT, NEIGHBOUR])
def test_built_in_clusters_present(egress: Egress, client: str, name: str, kind: str) -> None:
    cluster = egress.config(client).cluster(name)
    egress.check(f"type of {name}", cluster and cluster.type, kind)


@documented(
    source="ops/diagnostic-tools/proxy-cmd/",
    summary="A proxy's clusters for Services are those of its scope and of its inbound ports; it has the built-in ones "
    "and those of its agent",
    manifests=["ports_and_namespaces.yaml"],
    fixtures=["neighbour_client.yaml"],
    # Other clusters come with tracing, logging and metrics services, with ambient mode and with EnvoyFilters.
    outcomes=["sidecar/clusters-in-scope", "sidecar/cluster-inbound", "sidecar/clusters-of-agent"],
)
@pytest.mark.parametrize(
    ("client", "services"),
    [
        pytest.param(CLIENT, [outbound(THERE)], id="client"),
        pytest.param(NEIGHBOUR, [outbound(HERE, 8080), outbound(THERE, 8080)], id="neighbour"),
    ],
)
def test_cluster_list_complete(egress: Egress, client: str, services: list[str]) -> None:
    config = egress.config(client)
    clusters = [*config.clusters(), *config.own_clusters()]
    scope = {egress.in_cluster(name): "EDS" for name in services}
    of_services = {
        cluster.name: cluster.type
        for cluster in clusters
        if cluster.service and cluster.service[-1] not in egress.telemetry_services
    }
    of_inbound = of_services.pop(INBOUND, None)
    egress.check(f"type of {INBOUND}: one of {', '.join(INBOUND_TYPES)}", of_inbound in INBOUND_TYPES, expected=True)
    egress.check("clusters of Services and their types", of_services, dict(sorted(scope.items())))
    others = {cluster.name: cluster.type for cluster in clusters if not cluster.service}
    wanted = {**BUILT_IN, **AGENT}
    egress.check("other clusters and their types", {name: others.get(name) for name in wanted}, wanted)
