"""An HTTPS ServiceEntry with resolution DNS, for a host that DNS knows.

curl -> sidecar: listener 0.0.0.0_443, chain by server name -> TCP proxy -> STRICT_DNS cluster -> outside:443"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, tls

HOST = "outside.egress-outside.svc.cluster.local"
CLUSTER = f"outbound|443||{HOST}"
AT = "tasks/traffic-management/egress/egress-control/#access-an-external-https-service"


@documented(
    at=AT,
    says="An HTTPS ServiceEntry lets TLS to its host out untouched; anything else by TLS is blocked",
    since="TLS to another host on that port ended at the listed one; today the chain matches the server name",
    rows=[
        "workshop/https-port",
        "workshop/resolution-dns",
        "serviceentry/opaque-tcp",
        "serviceentry/wrong-host",
        "A2",
        "A5",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            tls(f"https://{HOST}/headers", to=None),
            Outcome(status=200, reached="outside", cluster=CLUSTER, far_end={"server-name": HOST}),
            id="listed",
        ),
        pytest.param(
            get(f"http://{HOST}/headers", to=None),
            Outcome(status=200, reached="outside", cluster=f"outbound|80||{HOST}"),
            id="its-http-port",
        ),
        pytest.param(
            tls("https://not-listed.test/headers"),
            Outcome(exit=35, cluster="BlackHoleCluster", flags="UH"),
            id="another-host",
        ),
        pytest.param(
            tls("https://192.0.2.80/headers"),
            Outcome(exit=35, cluster="BlackHoleCluster", flags="UH"),
            id="bare-address",
        ),
    ],
)
def test_https_dns(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    at=AT,
    says="It becomes a listener with a TCP proxy, and a cluster that resolves the host by DNS, IPv4 only",
    manifests=["https_dns.yaml"],
    since="the chain named no server; today it matches the host as server name, without any VirtualService",
    rows=[
        "serviceentry/listener",
        "serviceentry/listener-tcp-proxy",
        "serviceentry/no-server-names",
        "serviceentry/strict-dns",
        "serviceentry/dns-lookup-family",
        "serviceentry/resolution-dns",
    ],
)
def test_listener_and_cluster(egress: Egress) -> None:
    host = egress.real(HOST)
    listener = egress.config().listener("0.0.0.0_443")
    egress.state("listener", "0.0.0.0_443", listener and listener.name)
    assert listener
    chains = [chain for chain in listener.chains if chain.cluster == egress.real(CLUSTER)]
    egress.state("chains that lead to the host", 1, len(chains))
    # Not the only one: an ExternalName Service for the host, whosever it is (another case's, too), adds its own names.
    egress.state("whether that chain matches the host's name", expected=True, seen=host in chains[0].server_names)
    egress.state("route table of that chain", None, chains[0].route_config)
    cluster = egress.config().cluster(egress.real(CLUSTER))
    egress.state("cluster's type", "STRICT_DNS", cluster and cluster.type)
    assert cluster
    egress.state("cluster's DNS look-up", "V4_ONLY", cluster.raw.get("dns_lookup_family"))
    endpoint = cluster.raw["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    egress.state("cluster's address", {"address": host, "port_value": 443}, endpoint["socket_address"])
