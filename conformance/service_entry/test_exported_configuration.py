"""Every proxy that an entry is exported to gets the same configuration.

ServiceEntry, exported to both -> istiod -> sidecar in egress-client
                                         -> sidecar in egress-neighbour, until its Sidecar excludes it
"""

from pytest_istio_egress import CLIENT, NEIGHBOUR, Egress, documented, outbound

CLUSTER = outbound("every-proxy.test")
HOST = "every-proxy.test:80"


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-export_to",
    summary="Every proxy in the scope of a ServiceEntry (exportTo, Sidecar) gets the same cluster and routes for it",
    fixtures=["neighbour_client.yaml"],
    # Since Istio 1.1: before, there was neither exportTo nor Sidecar, and every proxy of the mesh got every
    # entry.
    outcomes=["service-entry/same-in-every-proxy"],
)
def test_exported_entry_configured_in_every_proxy(egress: Egress) -> None:
    cluster, routes = configuration(egress, CLIENT)
    egress.check("type of the client's cluster", cluster and cluster["type"], "ORIGINAL_DST")
    egress.check("number of the client's virtual hosts", len(routes), 1)
    egress.check("cluster and routes in the neighbour's proxy", configuration(egress, NEIGHBOUR), (cluster, routes))
    egress.apply("exported_configuration_limited.yaml")
    egress.check("cluster and routes in the client's proxy", configuration(egress, CLIENT), (cluster, routes))
    egress.check(
        "cluster and routes in the neighbour's proxy with its Sidecar", configuration(egress, NEIGHBOUR), (None, [])
    )


def configuration(egress: Egress, client: str) -> tuple[dict[str, object] | None, list[tuple[object, ...]]]:
    """Return a proxy's cluster for the host, and domains and routes of the virtual hosts for it."""
    config = egress.config(client)
    cluster = config.cluster(egress.in_cluster(CLUSTER))
    hosts = [host for host in config.virtual_hosts("80") if host.name == egress.in_cluster(HOST)]
    return cluster.raw if cluster else None, [(host.domains, host.routes) for host in hosts]
