"""Causes at the client's sidecar: it is not there, not ready, lets everything out, or knows nothing of the host."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.diagnosis.rules import because
from pytest_istio_egress.verdict.verdict import Exchange


def not_injected(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The client's pod has no proxy at all."""
    if not expected.sidecar or seen.sidecar is not None or context.injected:
        return None
    return (
        "The client's pod has no istio-proxy: the sidecar was not injected. Look at its label sidecar.istio.io/inject "
        "and its namespace's label istio-injection or istio.io/rev."
    )


def not_ready(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The client's proxy is there, but not ready."""
    if not expected.sidecar or seen.sidecar is not None or not context.proxy_trouble:
        return None
    return (
        f"The client's sidecar is not ready ({context.proxy_trouble}), and all its traffic is redirected to it. Look at "
        "the log of the pod's container istio-proxy."
    )


def past_envoy(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The outside answered, and no Envoy had counted the request."""
    if not expected.sidecar or seen.sidecar is not None or seen.envoy_headers or context.captured is not False:
        return None
    if seen.server_saw("server") is None:
        return None
    if context.excluded:
        return f"It went past the client's sidecar: an annotation of the pod keeps it from there ({context.excluded})."
    return (
        "It went past the client's sidecar, which is there but counted no connection: the pod's traffic is not "
        "redirected to it. Look at the log of istio-init (or of the CNI plugin)."
    )


def no_line(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """No line came, and nothing tells whether the request passed the sidecar."""
    if not expected.sidecar or seen.sidecar is not None:
        return None
    why = context.incomplete or "nothing else of the request was seen at the sidecar"
    return f"The sidecar's log has no line for it, so nothing is known of its way ({why}). Ask again."


def passthrough(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """Anything is let out although the outcome asks for more."""
    if seen.sidecar is None or seen.sidecar.cluster != "PassthroughCluster" or expected.cluster == "PassthroughCluster":
        return None
    if not expected.blocked:
        told = because(context.fault("entry"), "Look at the ServiceEntry's ports and exportTo.")
        return f"The sidecar let it out through PassthroughCluster, by no rule: it does not know the host. {told}"
    return (
        "The sidecar let it out through PassthroughCluster although blocking was asked for: outbound traffic is "
        "ALLOW_ANY for this workload. Look at the Sidecar resources of its namespace and at the mesh's "
        "outboundTrafficPolicy."
    )


def black_hole(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The sidecar has no listener for it."""
    if seen.sidecar is None or seen.sidecar.cluster != "BlackHoleCluster" or expected.cluster == "BlackHoleCluster":
        return None
    name = seen.sidecar.server_name
    sni = f", nor a chain for the server name {name}" if name != "-" else ""
    look = because(
        context.fault("entry"),
        "Look for the ServiceEntry's port and protocol, its exportTo, and the hosts that the Sidecar lets in.",
    )
    return f"The sidecar dropped it in BlackHoleCluster: it has no listener for that port and address{sni}. {look}"


def block_all(expected: Outcome, seen: Exchange, context: FailureContext) -> str | None:
    """The sidecar knows the port as HTTP, and not the host."""
    if seen.sidecar is None or seen.sidecar.route != "block_all" or expected.route == "block_all":
        return None
    look = because(
        context.fault("entry"), "Look for a ServiceEntry of that host which is exported to the client's namespace."
    )
    return f"The sidecar answered 502 by its route block_all: the port is known, the host is not. {look}"
