"""Causes at the client's sidecar: missing, not ready, bypassed, open to all hosts, or without the host."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import fault_or_check
from pytest_istio_egress.verdict.verdict import Exchange


def not_injected(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The client's pod has no proxy at all."""
    if not expected.sidecar or exchange.sidecar is not None or context.injected:
        return None
    return (
        "The client's pod has no istio-proxy container: no sidecar was injected. Check the pod's label "
        "sidecar.istio.io/inject and its namespace's label istio-injection or istio.io/rev."
    )


def not_ready(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The client's proxy exists, but is not ready."""
    if not expected.sidecar or exchange.sidecar is not None or not context.proxy_trouble:
        return None
    return (
        f"The client's sidecar is not ready ({context.proxy_trouble}), and all traffic of the pod is redirected to it. "
        "Check the log of the pod's istio-proxy container."
    )


def bypassed(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The external server answered, and no Envoy had counted the request."""
    if not expected.sidecar or exchange.sidecar is not None or exchange.envoy_headers or context.captured is not False:
        return None
    if exchange.server_saw("server") is None:
        return None
    if context.excluded:
        return (
            f"The request bypassed the sidecar because of a pod annotation ({context.excluded}). Check whether the "
            "annotation is meant to exclude this traffic."
        )
    return (
        "The request bypassed the sidecar, which runs but counted no connection: the pod's traffic is not redirected "
        "to it. Check the log of the istio-init container, or of the Istio CNI plugin."
    )


def no_line(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """No access log line was found, and nothing else shows whether the request passed the sidecar."""
    if not expected.sidecar or exchange.sidecar is not None:
        return None
    detail = context.incomplete or "the sidecar shows no other trace of it"
    return (
        f"The sidecar's access log has no line for the request, so its path is unknown ({detail}). Run the test again."
    )


def passthrough(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """PassthroughCluster took the request, and that is not documented."""
    line = exchange.sidecar
    if line is None or line.cluster != "PassthroughCluster" or expected.cluster == "PassthroughCluster":
        return None
    if not expected.blocked:
        advice = fault_or_check(context.fault("entry"), "Check the ports and exportTo of the ServiceEntry.")
        return f"The sidecar sent the request to PassthroughCluster because it does not know the host. {advice}"
    return (
        "The sidecar sent the request to PassthroughCluster instead of blocking it: the outbound traffic policy of "
        "this workload is ALLOW_ANY. Check the Sidecar resources of its namespace and the mesh's outboundTrafficPolicy."
    )


def black_hole(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The sidecar has no listener for the address and port."""
    line = exchange.sidecar
    if line is None or line.cluster != "BlackHoleCluster" or expected.cluster == "BlackHoleCluster":
        return None
    chain = f", and no filter chain for server name {line.server_name}" if line.server_name not in ("-", None) else ""
    advice = fault_or_check(
        context.fault("entry"),
        "Check the port, protocol and exportTo of the ServiceEntry, and the egress hosts of the Sidecar.",
    )
    return (
        f"The sidecar dropped the connection (BlackHoleCluster): it has no listener for that address and port{chain}. "
        f"{advice}"
    )


def block_all(expected: Outcome, exchange: Exchange, context: FailureContext) -> str | None:
    """The sidecar has HTTP routes for the port, and none for the host."""
    if exchange.sidecar is None or exchange.sidecar.route != "block_all" or expected.route == "block_all":
        return None
    advice = fault_or_check(
        context.fault("entry"), "Check that a ServiceEntry lists the host and is exported to the client's namespace."
    )
    return (
        f"The sidecar answered 502 (route block_all): it has HTTP routes for that port, but none for the host. {advice}"
    )
