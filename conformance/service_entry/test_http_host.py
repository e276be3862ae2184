"""A ServiceEntry opens one host, with exportTo "." for its own namespace only."""

import pytest

from pytest_istio_egress import NEIGHBOUR, Egress, Outcome, Probe, blocked_http, documented, get, reached


@documented(
    source="tasks/traffic-management/egress/egress-control/#access-an-external-http-service",
    summary="The host of a ServiceEntry is reached only from the namespaces that it is exported to",
    fixtures=["neighbour_client.yaml"],
    outcomes=[
        "service-entry/listed-host-200",
        "service-entry/slow-host-200",
        "service-entry/telemetry-names-host",
        "service-entry/export-to-own-namespace",
        "service-entry/export-to-dot",
        "service-entry/http-access-log-cluster",
        "service-entry/export-to-200-and-502",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://api.test/headers"),
            reached(
                details="via_upstream",
                request_headers={"host": "api.test"},
            ),
            id="listed",
        ),
        pytest.param(
            get("http://api.test/delay/1"),
            reached(seconds=1.0),
            id="listed-slow-answer",
        ),
        pytest.param(
            get("http://own-of-neighbour.test/headers", client=NEIGHBOUR),
            reached(),
            id="control-neighbour",
        ),
        pytest.param(get("http://api.test/headers", client=NEIGHBOUR), blocked_http(), id="not-exported-to-neighbour"),
    ],
)
def test_http_entry_reached_from_its_namespace_only(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="tasks/traffic-management/egress/egress-control/#access-an-external-http-service",
    summary="With tracing the sidecar names the host of the ServiceEntry in X-Envoy-Decorator-Operation",
    manifests=["http_host.yaml"],
    requires=["tracing"],
    outcomes=["service-entry/http-200-and-headers"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://api.test/headers"),
            reached(request_headers={"host": "api.test", "x-envoy-decorator-operation": "api.test:80/*"}),
            id="listed",
        ),
    ],
)
def test_traced_request_names_host_of_entry(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
