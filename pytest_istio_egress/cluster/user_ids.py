"""Whether the platform assigns the user ids of pods, as OpenShift does from a range of each namespace."""

from __future__ import annotations

from dataclasses import replace

from kubernetes.client.exceptions import ApiException

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.model.placement import ASSIGNED, AUTO, FIXED, Placement

CONSTRAINTS = ("security.openshift.io/v1", "SecurityContextConstraints")
RANGE = "openshift.io/sa.scc.uid-range"
"""The annotation with the range of a namespace."""


def with_user_ids(placement: Placement, api: Api) -> Placement:
    """Return the placement with FIXED or ASSIGNED in place of AUTO."""
    if placement.user_ids != AUTO:
        return placement
    return replace(placement, user_ids=ASSIGNED if _assigned(api) else FIXED)


def _assigned(api: Api) -> bool:
    if api.serves(*CONSTRAINTS):
        return True
    try:
        default = api.core.read_namespace("default")
    except ApiException:
        return False  # a cluster without this namespace is not OpenShift
    return RANGE in (default.metadata.annotations or {})
