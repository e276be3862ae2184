"""An entry goes to every proxy that it is exported to, the same to each.

ServiceEntry, exported to both -> istiod -> sidecar in egress-client
                                         -> sidecar in egress-neighbour, until its Sidecar leaves it out
"""

from pytest_istio_egress import CLIENT, NEIGHBOUR, Egress, documented, outbound

CLUSTER = outbound("every-proxy.test")
HOST = "every-proxy.test:80"


@documented(
    source="reference/config/networking/service-entry/#ServiceEntry-export_to",
    summary="Every proxy that an entry is exported to gets the same cluster and routes for it, if its "
    "Sidecar lets it in",
    fixtures=["neighbour_client.yaml"],
    # Since Istio 1.1: before, there was neither exportTo nor Sidecar, and every proxy of the mesh got every
    # entry.
    outcomes=["service-entry/same-in-every-proxy"],
)
def test_exported_entry_configured_in_every_proxy(egress: Egress) -> None:
    cluster, routes = known(egress, CLIENT)
    egress.check("the client's cluster", cluster and cluster["type"], "ORIGINAL_DST")
    egress.check("the client's virtual host", len(routes), 1)
    egress.check("what the neighbour knows of the host", known(egress, NEIGHBOUR), (cluster, routes))
    egress.apply("exported_configuration_limited.yaml")
    egress.check("what the client still knows", known(egress, CLIENT), (cluster, routes))
    egress.check("what the neighbour knows under its Sidecar", known(egress, NEIGHBOUR), (None, []))


def known(egress: Egress, client: str) -> tuple[dict[str, object] | None, list[tuple[object, ...]]]:
    """What a proxy has for the host: its cluster, and domains and routes of its virtual host."""
    config = egress.config(client)
    found = config.cluster(egress.in_cluster(CLUSTER))
    hosts = [host for host in config.virtual_hosts("80") if host.name == egress.in_cluster(HOST)]
    return found.raw if found else None, [(host.domains, host.routes) for host in hosts]
