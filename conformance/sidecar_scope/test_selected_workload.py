"""Whom a Sidecar rules: the pods that its workloadSelector names, or, without one, all of its namespace."""

import pytest

from pytest_istio_egress import CLIENT, Egress, Outcome, Probe, block_all, documented, get

OTHER = "other-client.egress-client"
PAGE = "reference/config/networking/sidecar/"


def asked(host: str, client: str) -> Probe:
    return get(f"http://{host}/headers", client=client)


def reached(host: str) -> Outcome:
    return Outcome(status=200, reached="outside", cluster=f"outbound|80||{host}")


CONTROLS = [
    pytest.param(asked("own-by-label.test", CLIENT), reached("own-by-label.test"), id="control-sleep"),
    pytest.param(asked("own-by-label.test", OTHER), reached("own-by-label.test"), id="control-other"),
]


@documented(
    source=PAGE,
    summary="A Sidecar with a workloadSelector rules the pods with these labels, and no others of its namespace",
    manifests=["selected_workload.yaml", "other_client.yaml"],
    outcomes=["sidecar/workload-selector"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        *CONTROLS,
        pytest.param(asked("beyond-label.test", CLIENT), block_all(), id="selected"),
        pytest.param(asked("beyond-label.test", OTHER), reached("beyond-label.test"), id="not-selected"),
    ],
)
def test_selected_workload(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source=PAGE,
    summary="A Sidecar without a workloadSelector rules every pod of its namespace",
    manifests=["every_workload.yaml", "other_client.yaml"],
    outcomes=["sidecar/no-selector"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        *CONTROLS,
        pytest.param(asked("beyond-label.test", CLIENT), block_all(), id="one-pod"),
        pytest.param(asked("beyond-label.test", OTHER), block_all(), id="another-pod"),
    ],
)
def test_every_workload(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
