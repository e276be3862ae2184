"""includeOutboundIPRanges: traffic to addresses outside the ranges bypasses the sidecar.

curl (to 192.0.2.81) -> sidecar -> 192.0.2.81
curl (to 192.0.2.80) ------------> 192.0.2.80, without Envoy"""

import pytest

from pytest_istio_egress import (
    Egress,
    Outcome,
    Probe,
    blocked_http,
    documented,
    get,
    reached,
    reached_directly,
    timed_out,
)

CLIENT = "bypass.egress-client"
WITHOUT_ENVOY = {"x-envoy-decorator-operation": None, "x-envoy-attempt-count": None, "x-request-id": None}


def past() -> Outcome:
    return reached_directly(source="client", request_headers=WITHOUT_ENVOY)


@documented(
    source="tasks/traffic-management/egress/egress-control/#direct-access-to-external-services",
    summary="Traffic to addresses outside includeOutboundIPRanges bypasses the sidecar, so no Istio configuration "
    "applies to it",
    outcomes=[
        "traffic-capture/outside-ranges-bypasses-sidecar",
        "traffic-capture/outside-ranges-any-host",
        "traffic-capture/outside-ranges-no-envoy-headers",
        "traffic-capture/inside-ranges-passes-sidecar",
        "traffic-capture/outside-ranges-no-rules",
        "traffic-capture/outside-ranges-200-no-envoy-headers",
    ],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(get("http://past-the-sidecar.test/headers", client=CLIENT), past(), id="listed-host"),
        pytest.param(get("http://past-and-unlisted.test/headers", client=CLIENT), past(), id="unlisted-host"),
        pytest.param(
            get("http://past-the-sidecar.test/delay/1", client=CLIENT),
            reached_directly(source="client", seconds=1.0),
            id="timeout-not-applied",
        ),
        pytest.param(
            get("http://past-the-sidecar.test/headers", client=CLIENT, to="192.0.2.81"),
            reached(),
            id="inside-the-ranges",
        ),
        # The rule that the bypass escapes does apply to traffic inside the ranges.
        pytest.param(
            get("http://past-the-sidecar.test/delay/1", client=CLIENT, to="192.0.2.81"),
            timed_out(after=0.5),
            id="timeout-inside-the-ranges",
        ),
        pytest.param(
            get("http://past-and-unlisted.test/headers", client=CLIENT, to="192.0.2.81"),
            blocked_http(),
            id="inside-the-ranges-unlisted",
        ),
    ],
)
def test_address_outside_ranges_bypasses_sidecar(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="tasks/traffic-management/egress/egress-control/#direct-access-to-external-services",
    summary="A pod without the annotation sends all its traffic through the sidecar",
    manifests=["outbound_ip_ranges.yaml"],
    outcomes=["traffic-capture/new-pods-only"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://past-the-sidecar.test/headers"),
            reached(),
            id="control-listed",
        ),
        pytest.param(get("http://past-and-unlisted.test/headers"), blocked_http(), id="unlisted-host"),
    ],
)
def test_pod_without_annotation_passes_sidecar(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
