"""An ExternalName Service for a TCP server.

without sidecar  curl --DNS: my-database is outside--> outside:9000
with sidecar     curl --> sidecar 0.0.0.0_9000: TCP entry of the host it names --> outside:9000
"""

import pytest

from pytest_istio_egress import (
    PLAIN,
    Egress,
    Outcome,
    Probe,
    blocked_tcp,
    documented,
    outbound,
    reached,
    reached_directly,
    tcp,
)

ALIAS = "my-database.egress-client.svc.cluster.local"
NAMED = "outside.egress-outside.svc.cluster.local"


@documented(
    source="tasks/traffic-management/egress/egress-kubernetes-services/",
    summary="An ExternalName Service for an external host works with TCP as well",
    # Since Istio 1.21: an ExternalName Service is an alias, so it is the named host's entry that has the port
    # and protocol.
    outcomes=["external-name/other-protocols"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            tcp(ALIAS, 9000, client=PLAIN),
            reached_directly(source="client"),
            id="without-sidecar",
        ),
        pytest.param(
            tcp(ALIAS, 9000),
            reached(cluster=outbound(NAMED, 9000), route="-", flags="-", source="client"),
            id="with-sidecar",
        ),
        pytest.param(tcp(ALIAS, 8081), blocked_tcp(), id="another-port"),
    ],
)
def test_tcp_to_external_name_reaches_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
