"""The state of the cluster around a failed request, as plain data; pipeline/failure_context.py collects it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_istio_egress.verdict.analysis.configuration import ClientRequest, Configuration, Workload
from pytest_istio_egress.verdict.proxy_path import ProxyPath

SIDECAR, GATEWAY, WAYPOINT = "sidecar", "egress gateway", "waypoint"


@dataclass(frozen=True, kw_only=True)
class FailureContext:
    """What may explain a failure; it never changes a verdict."""

    injected: bool = True
    """Whether the client's pod has a proxy."""
    redirected: bool | None = None
    """Whether Istio's CNI agent redirected the pod's connections to a ztunnel; None where they are not to be."""
    proxy_trouble: str = ""
    """Why the client's proxy is not ready; empty where it is."""
    annotations: Mapping[str, str] = field(default_factory=dict)
    """The annotations of the client's pod that limit the redirection to its proxy."""
    rejected: tuple[str, ...] = ()
    """Parts of their configuration that proxies rejected (NACK), each with Envoy's reason."""
    captured: bool | None = None
    """Whether the client's Envoy counted the request when it was sent again; None where that was not tried."""
    reused: bool = False
    """Whether the last Envoy had logged an earlier request on the same upstream connection."""
    log_trouble: str = ""
    """Why a proxy's access log cannot serve as evidence; empty where it can."""
    request: ClientRequest | None = None
    gateway: Workload | None = None
    """The egress gateway's pods, where the request was to pass them, or did."""
    waypoint: Workload | None = None
    """The waypoint that the request was to pass."""
    waypoint_addresses: frozenset[str] = frozenset()
    """The addresses of its pods."""
    configuration: Configuration | None = None
    """The Istio resources; None where they could not be read."""
    paths: Mapping[str, ProxyPath] = field(default_factory=dict)
    """By SIDECAR, GATEWAY and WAYPOINT: the request's path through that proxy's configuration, where it was read."""
    incomplete: str = ""
    """The error that ended the collection early; empty where it is complete."""
