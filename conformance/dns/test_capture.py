"""A sidecar that answers DNS: hosts that only the mesh knows get an address, and TCP entries one each.

curl --DNS: second-database?--> sidecar: 240.240.x.y
     --TCP 240.240.x.y:9000-->  sidecar: listener of that address -> second
without capture, no address: one listener 0.0.0.0:9000 for both entries, which leads to one of them
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, get, outbound, reached, tcp

CAPTURING = "dns-client.egress-client"
SECOND = "192.0.2.81"
PAGE = "ops/configuration/traffic-management/dns-proxy/"


@documented(
    source=PAGE,
    summary="With DNS capture the sidecar resolves the host of a ServiceEntry to the entry's address; other names are "
    "resolved by DNS",
    manifests=["capture.yaml"],
    outcomes=["dns/captured-entry-address"],
    independent_of_manifests={
        "unlisted-host": "no entry lists the host, so DNS answers with and without capture",
        "without-capture": "this client has no capture that could be removed; it shows the difference",
    },
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://with-address.test/headers", client=CAPTURING, to=None),
            reached(connected_to="198.51.100.7", details="via_upstream"),
            id="entry-with-an-address",
        ),
        pytest.param(
            get("http://unlisted-with-capture.test/headers", client=CAPTURING, to=None),
            Outcome(exit=6, sidecar=False),
            id="unlisted-host",
        ),
        pytest.param(
            get("http://with-address.test/headers", to=None), Outcome(exit=6, sidecar=False), id="without-capture"
        ),
        # Also the control of the client without capture: it reaches a server, the wrong one.
        pytest.param(
            tcp("second-database.test", 9000, to=SECOND),
            reached(cluster=outbound("first-database.test", 9000)),
            id="without-capture-one-entry-takes-the-port",
        ),
    ],
)
def test_captured_query_resolves_entry_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=f"{PAGE}#address-auto-allocation",
    summary="Each ServiceEntry without an address is allocated one, so two TCP entries can share a port",
    manifests=["capture.yaml"],
    requires=["address-allocation"],
    # Since Istio 1.25: istiod allocates the addresses and writes them into the entry's status; since 1.27 their
    # prefix is a setting (PILOT_IP_AUTOALLOCATE_IPV4_PREFIX), so only the status tells which address it is.
    outcomes=["dns/captured-entry-address"],
)
@pytest.mark.parametrize(("name", "server"), [("first-database", "outside"), ("second-database", "second")])
def test_entry_without_address_gets_allocated_address(egress: Egress, name: str, server: str) -> None:
    verdict = egress.expect(
        tcp(f"{name}.test", 9000, client=CAPTURING, to=None),
        reached(server, cluster=outbound(f"{name}.test", 9000)),
    )
    used = verdict.exchange.curl.remote_address
    entry = egress.resource("networking.istio.io/v1", "ServiceEntry", name)
    allocated = [each["value"] for each in entry.get("status", {}).get("addresses", [])]
    egress.check("address in the entry's status that curl connected to", [a for a in allocated if a == used], [used])
