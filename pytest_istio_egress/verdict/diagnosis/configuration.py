"""Causes in the configuration itself: rejected by a proxy, ambiguous, or not accepted by the API."""

from __future__ import annotations

import re

from pytest_istio_egress.verdict.analysis.documents import Document, namespace_of, spec_of
from pytest_istio_egress.verdict.analysis.visibility import imports_host, sidecars_of
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import ROUTED, cause
from pytest_istio_egress.verdict.proxy_path import ProxyPath
from pytest_istio_egress.verdict.proxy_path.listeners import ANY_ADDRESS


@cause("configuration rejected by the proxy (NACK)", explains=ROUTED, needs=(Evidence.REJECTION,))
def rejected(failure: Failure) -> str | None:
    """A proxy rejected what istiod sent, and it concerns the request: its host, or a part of its path."""
    found = next((each for each in failure.context.rejected if _concerns(failure, each)), None)
    if found is None:
        return None
    return (
        f"A proxy keeps its previous configuration, because it rejected an update (NACK): {found}. Check the "
        "EnvoyFilter "
        "or rule that the update comes from, and `istioctl proxy-status`."
    )


def _concerns(failure: Failure, rejection: str) -> bool:
    """Whether a rejection concerns the request.

    It is of a part of the path, took a cluster of the path along, or names the host and no cluster for another port.
    """
    request, paths = failure.request, failure.context.paths.values()
    parts = [hop.line.cluster for hop in failure.hops]
    for path in paths:
        parts += [path.listener_name, *path.clusters, *_listener_names(path), _routes_name(path)]
    if any(part not in ("", "-") and _names(rejection, part) for part in parts):
        return True
    if any("NC" in hop.flags and _lost_with(rejection, hop.name) for hop in failure.hops):
        return True
    other_port = re.search(rf"outbound\|(?!{request.port}\|)\d+\|", rejection) is not None
    return not other_port and _names(rejection, request.host)


def _lost_with(rejection: str, hop: str) -> bool:
    """Whether a hop rejected a whole update of clusters: one that Envoy cannot decode takes all others along."""
    return rejection.startswith(f"the {hop} rejected its Cluster ") and _NOT_DECODED in rejection


_NOT_DECODED = "Proto constraint validation failed"


def _names(text: str, name: str) -> bool:
    """Whether a text contains a whole name: 0.0.0.0_80 is no part of 0.0.0.0_8080, nor api.test of an-api.test."""
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-]|\.\w)", text) is not None


def _routes_name(path: ProxyPath) -> str:
    """Return the path's route configuration as a rejection names it; its name alone, a port, may be anything."""
    return f"RouteConfiguration {path.route_config}" if path.route_config else ""


def _listener_names(path: ProxyPath) -> list[str]:
    return [f"{address}_{path.request.port}" for address in (*ANY_ADDRESS, path.request.address) if address]


@cause(
    "two Sidecars for one workload",
    explains=ROUTED,
    needs=(Evidence.SIDECAR_LINE, Evidence.SIDECARS, Evidence.MESH),
)
def two_sidecars(failure: Failure) -> str | None:
    """More than one Sidecar selects the client, and they treat the request differently."""
    request = failure.request
    sidecars = sidecars_of(failure.configuration, request)
    if len(sidecars) < 2 or not failure.expected.sidecar:
        return None
    if len({_treatment(failure, sidecar) for sidecar in sidecars}) == 1:
        return None
    number = "two" if len(sidecars) == 2 else str(len(sidecars))
    names = " and ".join(sorted(str(sidecar["metadata"]["name"]) for sidecar in sidecars))
    return (
        f"Ambiguous: {number} Sidecars select this workload ({names} in {namespace_of(sidecars[0])}), they treat this "
        "request differently, and the oldest one applies. Remove one of them."
    )


def _treatment(failure: Failure, sidecar: Document) -> tuple[object, ...]:
    """Return what a Sidecar decides about the request: the mode for unknown hosts, and whether the host is known."""
    request = failure.request
    mode = (spec_of(sidecar).get("outboundTrafficPolicy") or {}).get("mode")
    places = {namespace_of(each) for each in failure.configuration.entries_of(request.host)}
    known = any(imports_host(sidecar, request.namespace, place, request.host, request.port) for place in places)
    return mode, known


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
