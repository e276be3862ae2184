"""A Sidecar applies to the pods that its workloadSelector matches, or, without one, to all of its namespace."""

import pytest

from pytest_istio_egress import CLIENT, Egress, Outcome, Probe, blocked_http, documented, get, reached

OTHER = "other-client.egress-client"
PAGE = "reference/config/networking/sidecar/"


def probe_of(host: str, client: str) -> Probe:
    return get(f"http://{host}/headers", client=client)


CONTROLS = [
    pytest.param(probe_of("own-by-label.test", CLIENT), reached(), id="control-sleep"),
    pytest.param(probe_of("own-by-label.test", OTHER), reached(), id="control-other"),
]


@documented(
    source=PAGE,
    summary="A Sidecar with a workloadSelector applies only to the pods with these labels",
    manifests=["workload_selector.yaml", "other_client.yaml"],
    outcomes=["sidecar/workload-selector-selected-pods"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        *CONTROLS,
        pytest.param(probe_of("beyond-label.test", CLIENT), blocked_http(), id="selected"),
        pytest.param(probe_of("beyond-label.test", OTHER), reached(), id="not-selected"),
    ],
)
def test_sidecar_with_selector_limits_selected_pods(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="A Sidecar without a workloadSelector applies to every pod of its namespace",
    manifests=["no_workload_selector.yaml", "other_client.yaml"],
    outcomes=["sidecar/no-workload-selector-every-pod"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        *CONTROLS,
        pytest.param(probe_of("beyond-label.test", CLIENT), blocked_http(), id="one-pod"),
        pytest.param(probe_of("beyond-label.test", OTHER), blocked_http(), id="another-pod"),
    ],
)
def test_sidecar_without_selector_limits_every_pod(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
