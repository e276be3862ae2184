"""Shows failures as text instead of tracebacks, and tells trouble with the cluster from verdicts on the mesh."""

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
from pytest_istio_egress.model.probe import NoCurlResultError
from pytest_istio_egress.model.result_names import ERROR, FAILED
from pytest_istio_egress.pipeline.egress import MismatchError
from pytest_istio_egress.plugin.stash import EVIDENCE_COLLECTOR
from pytest_istio_egress.report.evidence_folder import EVIDENCE
from pytest_istio_egress.report.results import PROPERTY, said_outcome

TROUBLE = (ClusterError, ApiException, HTTPError, NoCurlResultError)
"""What says nothing about the mesh: the way to the cluster, or the cluster itself, failed."""


NEXT: tuple[tuple[type[BaseException], str], ...] = (
    (ProxyNotSyncedError, "Look at istiod's pods and log, and at `istioctl proxy-status`."),
    (RefusedError, "Look at the manifest beside the versions of Istio and of its CRDs: validation rejected it."),
    (NotReadyError, "Look at the pod's events: `kubectl describe pod`."),
    (UnreadableLogError, "Without that log nothing can be said about the request."),
    (NoCurlResultError, "Look whether the client's pod still runs, and whether its image has a current curl."),
    (HTTPError, "The API server does not answer: look at the cluster and at the kubeconfig's server."),
    (ApiException, "Look at the permissions of the kubeconfig's user: `kubectl auth can-i --list`."),
)
"""What to look at next, by the kind of trouble."""

_WEBHOOK = "Istio's validation can't be asked: look at istiod's pods, and at the way from the API server to them."


def told(error: BaseException) -> str:
    """Return trouble in one line: the error's own words, and what to look at next."""
    words = reason(error)
    if "failed calling webhook" in words:
        return f"{words.rstrip('.')}. {_WEBHOOK}"
    look = next((look for kind, look in NEXT if isinstance(error, kind)), "")
    return f"{words.rstrip('.')}. {look}" if look else words


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the explanation in the place of the traceback."""
    report = yield
    error = call.excinfo.value if call.excinfo else None
    collector = item.stash.get(EVIDENCE_COLLECTOR, None)
    if collector and isinstance(error, TROUBLE):
        collector(None)
    if collector and error and collector.files:
        # On this report alone: the item's own properties would go with each of its reports.
        report.user_properties.append((EVIDENCE, dict(collector.files)))
    said: tuple[str, object] | None = None
    if isinstance(error, MismatchError):
        report.longrepr = str(error)
        if said_outcome(report) != FAILED:
            said = (PROPERTY, _stated(str(error)))
    elif isinstance(error, TROUBLE):
        line = told(error)
        report.longrepr = f"no verdict on the mesh, because of trouble with the cluster: {line}"
        said = (PROPERTY, {"outcome": ERROR, "cause": line})
    if said:
        # On the item too: the report of the tear-down, which JUnit reads, is made of it.
        report.user_properties.append(said)
        item.user_properties.append(said)
    return report


def _stated(explanation: str) -> dict[str, object]:
    """Return what to record of a fact that was no probe's: the explanation's own lines are all there is."""
    differs, causes = (
        [line.removeprefix(word).strip() for line in explanation.splitlines() if line.startswith(word)]
        for word in ("differs:", "cause:")
    )
    return {"outcome": FAILED, "differences": differs, "cause": "; ".join(causes or differs)}
