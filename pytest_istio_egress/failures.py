"""Shows failures as text instead of tracebacks, and tells trouble with the cluster from verdicts on the mesh."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import ClusterError, reason
from pytest_istio_egress.egress import DoesNotHoldError
from pytest_istio_egress.probe import NoCurlResultError
from pytest_istio_egress.report.results import DOES_NOT_HOLD, ERROR, PROPERTY, said_outcome

TROUBLE = (ClusterError, ApiException, HTTPError, NoCurlResultError)
"""What says nothing about the mesh: the way to the cluster, or the cluster itself, failed."""


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the explanation in the place of the traceback."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    if isinstance(error, DoesNotHoldError):
        report.longrepr = str(error)
        if said_outcome(report) != DOES_NOT_HOLD:
            report.user_properties.append((PROPERTY, _stated(str(error))))
    elif isinstance(error, TROUBLE):
        line = reason(error) if isinstance(error, ApiException) else " ".join(str(error).split())
        report.longrepr = f"no verdict on the mesh, because of trouble with the cluster: {line}"
        report.user_properties.append((PROPERTY, {"outcome": ERROR, "cause": line}))
    return report


def _stated(explanation: str) -> dict[str, object]:
    """Return what to record of a fact that was no probe's: the explanation's own lines are all there is."""
    differs = [
        line.removeprefix("differs:").strip() for line in explanation.splitlines() if line.startswith("differs:")
    ]
    return {"outcome": DOES_NOT_HOLD, "differences": differs, "cause": "; ".join(differs)}
