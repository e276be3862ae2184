"""A request whose way is explained."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import SplitResult

from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration


@dataclass(frozen=True, kw_only=True)
class ExplainedRequest:
    """A request to explain: the client's pod, its URL, and the resources of the cluster."""

    client: Pod
    request: ClientRequest
    url: SplitResult
    configuration: Configuration
    domain: str
    """The cluster domain."""
