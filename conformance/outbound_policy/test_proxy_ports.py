"""The proxy's own ports, to which iptables redirects: connections to them end in BlackHoleCluster, even with ALLOW_ANY.

curl -> 127.0.0.1:15001 (virtualOutbound), 127.0.0.1:15006 (virtualInbound), 192.0.2.80:15001 -> BlackHoleCluster
"""

import pytest

from pytest_istio_egress import CLIENT, Egress, Outcome, Probe, blocked_tcp, documented, get, reached

PAGE = "ops/deployment/application-requirements/#ports-used-by-istio"
# The chains of these ports have no access log of Istio's; the run's own log has a line. A closed port would refuse the
# connection (curl 7): here it was accepted and dropped.
DROPPED = blocked_tcp()


@documented(
    source=PAGE,
    summary="A connection to the sidecar's own port 15001 or 15006 is dropped even with ALLOW_ANY",
    requires=["proxy-ports", "proxy-port-log"],
    outcomes=["outbound-policy/proxy-ports-black-hole"],
    independent_of_manifests={
        "own-15001": "the proxy drops these connections with any configuration",
        "own-15006": "the proxy drops these connections with any configuration",
        "15001-of-another-address": "the proxy drops these connections with any configuration",
    },
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://192.0.2.80:9000/headers"),
            reached(cluster="PassthroughCluster"),
            id="control-another-port",
        ),
        pytest.param(get("http://127.0.0.1:15001/"), DROPPED, id="own-15001"),
        pytest.param(get("http://127.0.0.1:15006/"), DROPPED, id="own-15006"),
        pytest.param(get("http://192.0.2.80:15001/"), DROPPED, id="15001-of-another-address"),
    ],
)
def test_connection_to_proxy_port_dropped(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="The sidecar's filter chains send connections to its own ports 15001 and 15006 to BlackHoleCluster",
    manifests=["proxy_ports.yaml"],
    requires=["proxy-ports"],
    outcomes=["outbound-policy/proxy-ports-black-hole"],
    independent_of_manifests={
        "": "every proxy has these filter chains, with any configuration",
    },
)
@pytest.mark.parametrize(("name", "port"), [("virtualOutbound", 15001), ("virtualInbound", 15006)])
def test_proxy_port_filter_chain_leads_to_black_hole(egress: Egress, name: str, port: int) -> None:
    listener = egress.config(CLIENT).listener(name)
    chains = listener.chains if listener else ()
    clusters = [chain.cluster for chain in chains if chain.destination_port == port]
    egress.check(f"clusters of the filter chain of {name} for port {port}", clusters, ["BlackHoleCluster"])
