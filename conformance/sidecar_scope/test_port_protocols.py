"""How a Service out of scope is blocked depends on the listener of its port, made for Services in scope.

                                 with a cluster IP             headless
    http, grpc, http2            0.0.0.0_PORT: block_all       0.0.0.0_PORT: block_all
    no protocol                  IP_PORT alone: dropped        POD_PORT alone: dropped
    tcp, tls                     IP_PORT alone: dropped        POD_PORT alone: dropped

The table is for plain HTTP; TLS and other bytes are dropped on all of these ports. A ServiceEntry without
addresses and protocol has 0.0.0.0_PORT, too: plain HTTP gets block_all there.
"""

import pytest
from _pytest.mark import ParameterSet

from pytest_istio_egress import (
    Egress,
    Outcome,
    Probe,
    blocked_http,
    blocked_tcp,
    blocked_tls,
    documented,
    get,
    outbound,
)
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS_OF_BYTES

PORTS = {"http": 1, "grpc": 2, "http2": 3, "tcp": 4, "tls": 5, "none": 6}
WITH_ADDRESS = {name: 18100 + number for name, number in PORTS.items()}
HEADLESS = {name: 18200 + number for name, number in PORTS.items()}
WITHOUT_ADDRESS = 18306
HERE = "protocols.egress-client.svc.cluster.local"
THERE = "protocols.egress-neighbour.svc.cluster.local"
HEADLESS_THERE = "headless.egress-neighbour.svc.cluster.local"
NO_TLS = blocked_tls()
DROPPED_BYTES = blocked_tcp(BLACKHOLE_EXITS_OF_BYTES)


def plain_http(host: str, ports: dict[str, int], answered: set[str]) -> list[ParameterSet]:
    return [
        pytest.param(
            get(f"http://{host}:{port}/headers"),
            blocked_http() if name in answered else blocked_tcp(),
            id=f"{host.split('.')[0]}-{name}-plain-http",
        )
        for name, port in ports.items()
    ]


def other(host: str, ports: dict[str, int]) -> list[ParameterSet]:
    parameters: list[ParameterSet] = []
    for name, port in ports.items():
        parameters += [
            pytest.param(get(f"https://{host}:{port}/"), NO_TLS, id=f"{host.split('.')[0]}-{name}-tls"),
            pytest.param(get(f"gopher://{host}:{port}/_bytes"), DROPPED_BYTES, id=f"{host.split('.')[0]}-{name}-bytes"),
        ]
    return parameters


@documented(
    source="ops/configuration/traffic-management/traffic-routing/#unmatched-traffic",
    summary="Plain HTTP to a Service out of scope gets 502 on a port that is HTTP in scope; the rest is dropped",
    fixtures=["neighbour_client.yaml"],
    outcomes=["sidecar/out-of-scope-blocked-by-protocol"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get(f"http://{HERE}:{WITH_ADDRESS['http']}/headers"),
            Outcome(status=200, cluster=outbound(HERE, WITH_ADDRESS["http"]), details="via_upstream"),
            id="control-in-scope",
        ),
        *plain_http(THERE, WITH_ADDRESS, {"http", "grpc", "http2"}),
        *plain_http(HEADLESS_THERE, HEADLESS, {"http", "grpc", "http2"}),
        pytest.param(
            get(f"http://{HEADLESS_THERE}:{WITHOUT_ADDRESS}/"),
            blocked_http(),
            id="entry-without-address-none-plain-http",
        ),
        *other(THERE, WITH_ADDRESS),
        *other(HEADLESS_THERE, HEADLESS),
    ],
)
def test_service_out_of_scope_blocked_by_protocol(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
