"""Causes in the configuration itself: rejected by a proxy, ambiguous, or with a reference to a missing resource."""

from __future__ import annotations

from pytest_istio_egress.model.failure_context import FailureContext
from pytest_istio_egress.model.outcome import Outcome
from pytest_istio_egress.verdict.verdict import Exchange


def rejected(_: Outcome, __: Exchange, context: FailureContext) -> str | None:
    """A proxy rejected what istiod sent."""
    if not context.rejected:
        return None
    return (
        f"A proxy keeps its previous configuration, because it rejected an update (NACK): {context.rejected[0]}. Check "
        "the EnvoyFilter or rule that the update comes from, and `istioctl proxy-status`."
    )


def two_sidecars(expected: Outcome, _: Exchange, context: FailureContext) -> str | None:
    """More than one Sidecar selects the client."""
    conflict = context.fault("sidecar")
    return f"Ambiguous: {conflict}. Remove one of them." if conflict and expected.sidecar else None


def fault(_: Outcome, __: Exchange, context: FailureContext) -> str | None:
    """The configuration has a fault, and no more certain cause fits."""
    text = context.fault("conflict", "rule", "destination", "gateway", "entry", "secret")
    return f"A fault in the configuration may be the cause: {text}. Check `istioctl analyze`." if text else None


def manifest_rejected(answer: str) -> str:
    """Return the cause for a manifest that should have been accepted; `answer` is the API server's."""
    if "admission webhook" not in answer:
        origin = "The API server"
    elif "validation.istio.io" in answer:
        origin = "Istio's validating webhook"
    else:
        return "An admission webhook that is not Istio's rejected the manifest. Check the policies of the cluster."
    return f"{origin} rejected the manifest. Check it against the versions of Istio and of its CRDs in the cluster."


def not_rejected() -> str:
    """Return the cause for a manifest that should have been rejected."""
    return (
        "The manifest was accepted: nothing validated it, or this version of Istio allows it. Check istiod's "
        "ValidatingWebhookConfiguration and its failurePolicy, and the schema of the CRD."
    )
