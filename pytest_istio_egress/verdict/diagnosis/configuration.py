"""Causes in the configuration itself: refused by a proxy, ambiguous, or pointing to what is not there."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.verdict import Exchange


def rejected(_: Outcome, __: Exchange, context: FailureContext) -> str | None:
    """A proxy refused what istiod sent."""
    if not context.rejected:
        return None
    return (
        f"The proxy works with older configuration: {context.rejected[0]} (NACK). Look for the EnvoyFilter or rule that "
        "made it, and at `istioctl proxy-status`."
    )


def two_sidecars(expected: Outcome, _: Exchange, context: FailureContext) -> str | None:
    """More than one Sidecar claims the client."""
    fault = context.fault("sidecar")
    return f"It is open which Sidecar counts: {fault}. Remove one of them." if fault and expected.sidecar else None


def fault(_: Outcome, __: Exchange, context: FailureContext) -> str | None:
    """The configuration has a fault, and no surer cause was found."""
    found = context.fault("conflict", "rule", "destination", "gateway", "entry", "secret")
    return f"The configuration has a fault that may be the cause: {found}. See `istioctl analyze`." if found else None


def manifest_rejected(answer: str) -> str:
    """Say why a manifest that must be taken was not."""
    by = "Istio's validation" if "admission webhook" in answer else "the API server"
    return f"The manifest was rejected by {by}: compare it with the version of Istio and of its CRDs in the cluster."


def not_rejected() -> str:
    """Say why a manifest that must be refused was not."""
    return (
        "Nothing checked the manifest, or this version takes it: look at the ValidatingWebhookConfiguration of istiod "
        "and its failurePolicy, and at the schema of the CRD."
    )
