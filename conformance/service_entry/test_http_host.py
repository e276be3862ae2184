"""A ServiceEntry opens one host, and exportTo "." keeps it to its own namespace."""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Outcome, Probe, block_all, documented, get


@documented(
    source="tasks/traffic-management/egress/egress-control/#access-an-external-http-service",
    summary="A ServiceEntry lets the sidecars of the namespaces it is exported to reach its host, and no others",
    fixtures=["neighbour_client.yaml"],
    outcomes=[
        "workshop/200",
        "workshop/delay",
        "workshop/recognised",
        "workshop/export-to",
        "deck/entry-exported",
        "A3",
        "A4",
        "A25",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://api.test/headers"),
            Outcome(
                status=200,
                reached="outside",
                cluster="outbound|80||api.test",
                details="via_upstream",
                request_headers={"host": "api.test", "x-envoy-decorator-operation": "api.test:80/*"},
            ),
            id="listed",
        ),
        pytest.param(
            get("http://api.test/delay/1"),
            Outcome(status=200, reached="outside", cluster="outbound|80||api.test", min_seconds=1.0),
            id="listed-slow-answer",
        ),
        pytest.param(
            get("http://own-of-neighbour.test/headers", client=NEIGHBOUR),
            Outcome(status=200, reached="outside", cluster="outbound|80||own-of-neighbour.test"),
            id="control-neighbour",
        ),
        pytest.param(get("http://api.test/headers", client=NEIGHBOUR), block_all(), id="not-exported-to-neighbour"),
    ],
)
def test_http_host(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
