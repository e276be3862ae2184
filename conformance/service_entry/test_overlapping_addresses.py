"""Two TCP entries with overlapping addresses: which one takes a connection.

:9000   wide /8, narrow 192.0.2.80/32           .80 -> narrow       .81 -> wide
:8081   first and second, 192.0.2.80/32 both    .80 -> first
"""

import pytest

from pytest_istio_egress import Egress, Outcome, Probe, documented, outbound, reached, tcp


def by(host: str, port: int, server: str) -> Outcome:
    return reached(server, cluster=outbound(host, port))


@documented(
    source="reference/config/networking/service-entry/",
    summary="With overlapping CIDRs the most specific one takes the connection; with identical ones, the first entry",
    outcomes=["service-entry/overlapping-cidrs-most-specific"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(tcp("192.0.2.80", 9000), by("narrow-range.test", 9000, "outside"), id="most-specific"),
        pytest.param(tcp("192.0.2.81", 9000), by("wide-range.test", 9000, "second"), id="only-in-the-wide-one"),
        pytest.param(tcp("192.0.2.80", 8081), by("first-of-two.test", 8081, "outside"), id="identical"),
    ],
)
def test_most_specific_cidr_takes_connection(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
