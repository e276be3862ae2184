"""Shows failures as text instead of tracebacks, and errors of the cluster apart from failures of the mesh."""

from __future__ import annotations

from collections.abc import Generator

import pytest
from kubernetes.client.exceptions import ApiException
from urllib3.exceptions import HTTPError

from pytest_istio_egress.cluster.api import ClusterError, reason
from pytest_istio_egress.cluster.apply import RefusedError
from pytest_istio_egress.cluster.logs import UnreadableLogError
from pytest_istio_egress.cluster.proxy_sync import ProxyNotSyncedError
from pytest_istio_egress.cluster.readiness import NotReadyError
from pytest_istio_egress.cluster.refusals import hint_of
from pytest_istio_egress.model.case import InvalidTestError
from pytest_istio_egress.model.probe import NoCurlResultError
from pytest_istio_egress.model.result_names import ERROR, FAILED
from pytest_istio_egress.pipeline.egress import MismatchError
from pytest_istio_egress.plugin.stash import EVIDENCE_COLLECTOR
from pytest_istio_egress.redaction import redacted
from pytest_istio_egress.report.evidence_folder import EVIDENCE
from pytest_istio_egress.report.results import PROPERTY, recorded_result

CLUSTER_ERRORS = (ClusterError, ApiException, HTTPError, NoCurlResultError)
"""Errors that say nothing about the mesh: the cluster, or the connection to it, failed."""

HINTS_BY_TYPE: tuple[tuple[type[BaseException], str], ...] = (
    (ProxyNotSyncedError, "Check istiod's pods and log, and `istioctl proxy-status`."),
    (RefusedError, "The API server rejected the manifest: compare its fields with the CRDs of this Istio version."),
    (NotReadyError, "Check the pod's events: `kubectl describe pod`."),
    (UnreadableLogError, "Without this log there is no verdict on the request."),
    (NoCurlResultError, "Check that the client's pod is running, and that its image contains a current curl."),
    (HTTPError, "The API server does not respond: check the cluster, and the server in the kubeconfig."),
    (ApiException, "Check the permissions of the kubeconfig's user: `kubectl auth can-i --list`."),
)
"""What to do next, by the type of the error, where the message matches none of the above."""


def error_line(error: BaseException) -> str:
    """Return an error in one line: its message, and a hint what to do next."""
    message = reason(error)
    hint = _hint(error, message)
    return f"{message.rstrip('.')}. hint: {hint}" if hint else message


def _hint(error: BaseException, message: str) -> str:
    if hint := hint_of(message):
        return hint
    return next((hint for kind, hint in HINTS_BY_TYPE if isinstance(error, kind)), "")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Replace the traceback of a failure by its text, and record failures that no probe recorded."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    collector = item.stash.get(EVIDENCE_COLLECTOR, None)
    if collector and isinstance(error, CLUSTER_ERRORS):
        collector(None)
    if collector and error and collector.files:
        # On this report alone: the item's own properties would be part of each of its reports.
        report.user_properties.append((EVIDENCE, dict(collector.files)))
    record: dict[str, object] | None = None
    if isinstance(error, MismatchError):
        report.longrepr = str(error)
        if recorded_result(report) != FAILED:
            record = _failed_check(error)
    elif isinstance(error, InvalidTestError):
        line = reason(error)
        report.longrepr = f"error in the test (nothing is known about the mesh): {line}"
        record = {"result": ERROR, "cause": line}
    elif isinstance(error, CLUSTER_ERRORS):
        line = error_line(error)
        report.longrepr = f"test error (cluster problem, not an Istio deviation): {line}"
        record = {"result": ERROR, "cause": line}
    if record:
        # On the item too: the report of the teardown, which JUnit reads, is made from it.
        report.user_properties.append((PROPERTY, record))
        item.user_properties.append((PROPERTY, record))
    return report


def _failed_check(error: MismatchError) -> dict[str, object]:
    """Return the record of a failed check; no probe was sent for it."""
    cleaned: dict[str, object] = redacted(
        {
            "result": FAILED,
            "differences": [difference.to_mapping() for difference in error.differences],
            "cause": error.cause or "; ".join(map(str, error.differences)),
        }
    )
    return cleaned
