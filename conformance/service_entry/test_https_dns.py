"""An HTTPS ServiceEntry with resolution DNS.

curl -> sidecar: listener 0.0.0.0_443, chain by server name -> TCP proxy -> STRICT_DNS cluster -> outside:443"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, blocked_tls, documented, get, outbound, reached

HOST = "outside.egress-outside.svc.cluster.local"
CLUSTER = outbound(HOST, 443)
LOOK_UPS = {("IPv4",): ("V4_ONLY",), ("IPv6",): ("V6_ONLY", "ALL"), ("IPv4", "IPv6"): ("V4_ONLY", "ALL")}
"""By the IP families of pods; with settings of istiod proxies also look up the other family (ISTIO_DUAL_STACK)."""
AT = "tasks/traffic-management/egress/egress-control/#access-an-external-https-service"


@documented(
    source=AT,
    summary="An HTTPS ServiceEntry forwards TLS to its host unchanged; TLS to other hosts is blocked",
    # Before, TLS to another host on that port ended at the listed one; today the chain matches the server name.
    outcomes=[
        "service-entry/https-port-reached",
        "service-entry/resolution-dns-by-proxy",
        "service-entry/https-opaque-tcp",
        "service-entry/https-other-host-certificate",
        "outbound-policy/unlisted-tls-handshake-fails",
        "service-entry/https-200-and-access-log",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get(f"https://{HOST}/headers", to=None),
            reached(server_saw={"server-name": HOST}),
            id="listed",
        ),
        pytest.param(
            get(f"http://{HOST}/headers", to=None),
            reached(),
            id="its-http-port",
        ),
        pytest.param(
            get("https://not-listed.test/headers"),
            blocked_tls(),
            id="another-host",
        ),
        pytest.param(
            get("https://192.0.2.80/headers"),
            blocked_tls(),
            id="bare-address",
        ),
    ],
)
def test_https_entry_opens_its_host_only(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=AT,
    summary="An HTTPS ServiceEntry becomes a listener with a TCP proxy and a STRICT_DNS cluster for pods' IP family",
    manifests=["https_dns.yaml"],
    # Before, the chain had no server names; today it matches the host, without a VirtualService.
    outcomes=[
        "service-entry/https-listener",
        "service-entry/https-listener-tcp-proxy",
        "service-entry/https-chain-server-names",
        "service-entry/https-dns-cluster",
        "service-entry/https-dns-ipv4-only",
        "service-entry/resolution-dns-strict-dns",
    ],
)
def test_https_entry_becomes_listener_and_cluster(egress: Egress) -> None:
    host = egress.in_cluster(HOST)
    listener = egress.config().listener(egress.in_cluster("0.0.0.0_443"))
    egress.check("listener 0.0.0.0_443", "exists" if listener else "does not exist", "exists")
    assert listener
    chains = [chain for chain in listener.chains if chain.cluster == egress.in_cluster(CLUSTER)]
    egress.check("number of chains with the host's cluster", len(chains), 1)
    # Not the only name: ExternalName Services for the host, also those of other cases, add theirs.
    egress.check("presence of the host in the chain's server names", host in chains[0].server_names, expected=True)
    egress.check("route table of that chain", chains[0].route_config, None)
    cluster = egress.config().cluster(egress.in_cluster(CLUSTER))
    egress.check("cluster's type", cluster and cluster.type, "STRICT_DNS")
    assert cluster
    look_up = cluster.raw.get("dns_lookup_family")
    egress.check(
        f"DNS look-up {look_up} of the cluster", look_up in LOOK_UPS[tuple(sorted(egress.ip_families))], expected=True
    )
    endpoint = cluster.raw["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"]
    egress.check("cluster's address", endpoint["socket_address"], {"address": host, "port_value": 443})
