"""Entries with addresses of both IP families, for clients of a dual-stack cluster.

curl -> 192.0.2.80:9000, [2001:db8::80]:9000 -> sidecar, by address -> ORIGINAL_DST -> the same address
        192.0.2.81:9000, [2001:db8::81]:9000 -> BlackHoleCluster
curl -> 192.0.2.81:80, [2001:db8::81]:80     -> sidecar, by the Host header -> [2001:db8::80]:80
"""

import pytest

from pytest_istio_egress import (
    Egress,
    Outcome,
    Probe,
    blocked_http,
    blocked_tcp,
    documented,
    get,
    outbound,
    reached,
    tcp,
)

AT = "setup/additional-setup/dual-stack/"
TCP = reached(cluster=outbound("both-families.test", 9000), source="client")
FIRST, SECOND = "192.0.2.81", "2001:db8::81"
"""Addresses of the other server, one of each family."""


@documented(
    source=AT,
    summary="On a dual-stack cluster an entry with an address of each IP family opens both, and no others",
    manifests=["both_families.yaml"],
    requires=["dual-stack"],
    outcomes=["dual-stack/entry-addresses-of-both-families", "dual-stack/unlisted-address-blocked"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(tcp("192.0.2.80", 9000), TCP, id="first-family"),
        pytest.param(tcp("2001:db8::80", 9000), TCP, id="second-family"),
        pytest.param(tcp(FIRST, 9000), blocked_tcp(), id="first-family-unlisted"),
        pytest.param(tcp(SECOND, 9000), blocked_tcp(), id="second-family-unlisted"),
    ],
)
def test_entry_opens_addresses_of_both_families(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=AT,
    summary="On a dual-stack cluster clients of both IP families reach an endpoint in the second family by its host",
    manifests=["both_families.yaml"],
    requires=["dual-stack"],
    outcomes=["dual-stack/endpoint-of-other-family-200", "dual-stack/unlisted-host-502"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://second-family.test/headers", to=FIRST), reached(), id="to-first-family"),
        pytest.param(get("http://second-family.test/headers", to=SECOND), reached(), id="to-second-family"),
        pytest.param(get("http://families-unlisted.test/headers", to=SECOND), blocked_http(), id="unlisted"),
    ],
)
def test_endpoint_in_second_family_reached(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
