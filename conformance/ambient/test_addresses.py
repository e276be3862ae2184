"""The addresses by which ztunnel knows the host of a connection: an entry's own, or allocated ones.

A connection to another address of the host belongs to no entry, so it bypasses the waypoint and its policies.
"""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Hop,
    Outcome,
    Probe,
    documented,
    ended_by_waypoint,
    get,
    reached_by_waypoint,
    reached_by_ztunnel,
)

OWN = "198.51.100.9"
POD = "192.0.2.180"
POST = ("--request", "POST")
DENIED = Hop(details="rbac_access_denied_matched_policy[none]")


@documented(
    source="ambient/usage/waypoint/",
    summary="ztunnel sends only connections to the addresses of a ServiceEntry to its waypoint, others bypass it",
    manifests=["addresses.yaml"],
    requires=["ambient"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/entry-address", "ambient/bypass-by-address"],
    independent_of_manifests={"another-address": "no entry has the address, so nothing applies to it"},
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://own-address.test/anything", client=AMBIENT, to=OWN), reached_by_waypoint(), id="entrys-address"
        ),
        pytest.param(
            get("http://own-address.test/anything", client=AMBIENT, to=None),
            reached_by_waypoint(connected_to=OWN),
            id="dns-answers-with-it",
        ),
        pytest.param(
            get("http://own-address.test/anything", client=AMBIENT, to=OWN, arguments=POST),
            ended_by_waypoint(status=403, waypoint=DENIED),
            id="denied-at-the-waypoint",
        ),
        pytest.param(
            get("http://own-address.test:8080/anything", client=AMBIENT, to=POD, arguments=POST),
            reached_by_ztunnel(service="", server_saw={"method": "POST"}),
            id="another-address",
        ),
    ],
)
def test_only_addresses_of_entry_belong_to_it(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="ops/configuration/traffic-management/dns-proxy/#address-auto-allocation",
    summary="ztunnel resolves the host of an entry without addresses to the one that istiod allocated",
    manifests=["addresses.yaml"],
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/allocated-address"],
)
@pytest.mark.parametrize(("name", "server"), [("first-tcp", "outside"), ("second-tcp", "second")])
def test_ztunnel_resolves_host_to_allocated_address(egress: Egress, name: str, server: str) -> None:
    verdict = egress.expect(
        get(f"http://{name}.test:9000/headers", client=AMBIENT, to=None), reached_by_ztunnel(server)
    )
    used = verdict.exchange.curl.remote_address
    entry = egress.resource("networking.istio.io/v1", "ServiceEntry", name, "egress-ambient")
    allocated = [each["value"] for each in entry.get("status", {}).get("addresses", [])]
    egress.check("address in the entry's status that curl connected to", [a for a in allocated if a == used], [used])
