"""A cause that needs nothing of a sidecar or a gateway alone is found at a waypoint as at a sidecar."""

from __future__ import annotations

from dataclasses import replace

import pytest
from cause_samples import SAMPLES
from failures import CLIENT, CURL, LINE, configuration, failure, resource

from pytest_istio_egress import Hop
from pytest_istio_egress.verdict.diagnosis import CAUSES
from pytest_istio_egress.verdict.diagnosis.evidence import Evidence
from pytest_istio_egress.verdict.diagnosis.failure import Failure
from pytest_istio_egress.verdict.diagnosis.rule import Cause
from pytest_istio_egress.verdict.failure_context import SIDECAR, WAYPOINT

BY_NAME = {each.name: each for each in CAUSES}
OF_AN_ENVOY = {
    Evidence.HOP_LINE,
    Evidence.HOP_PATH,
    Evidence.FLAGS,
    Evidence.DETAILS,
    Evidence.TERMINATION,
    Evidence.TRANSPORT_FAILURE,
    Evidence.REUSED,
}
OF_A_SIDECAR = {
    Evidence.SIDECAR_LINE,
    Evidence.SIDECAR_PATH,
    Evidence.GATEWAY_LINE,
    Evidence.GATEWAY_PATH,
    Evidence.WAYPOINT_LINE,
    Evidence.ZTUNNEL_LINE,
    Evidence.CLUSTER,
}
EXTENSIONS = {each.name for each in CAUSES if Evidence.ENVOY_FILTERS in each.needs}
"""An EnvoyFilter applies to a waypoint by its targets: see test_attachment.py."""


def at_waypoint(given: Failure) -> Failure:
    """Return a failure at a sidecar as one at a waypoint: the same line, configuration and outcome."""
    differences = tuple(replace(each, hop="waypoint") if each.hop == SIDECAR else each for each in given.differences)
    paths = {WAYPOINT: given.context.paths[SIDECAR]} if SIDECAR in given.context.paths else {}
    expected = given.expected
    hop = Hop(status=expected.status, flags=expected.flags, details=expected.details, cluster=expected.cluster)
    return Failure(
        replace(expected, sidecar=False, waypoint=hop),
        replace(given.exchange, sidecar=None, waypoint=given.exchange.sidecar),
        differences,
        replace(given.context, paths=paths, waypoint=CLIENT),
    )


def of_any_envoy(each: Cause) -> bool:
    given = SAMPLES[each.name]
    lines = given.exchange.sidecar is not None and given.exchange.gateway is None
    needs = set(each.needs)
    return lines and bool(needs & OF_AN_ENVOY) and not needs & OF_A_SIDECAR and each.name not in EXTENSIONS


@pytest.mark.parametrize("name", [each.name for each in CAUSES if of_any_envoy(each)])
def test_cause_is_found_at_a_waypoint(name: str) -> None:
    sentence = BY_NAME[name].of(at_waypoint(SAMPLES[name]))
    assert sentence is not None
    assert "sidecar" not in sentence


def test_identity_of_the_client_is_known_at_a_waypoint() -> None:
    policy = resource(
        "AuthorizationPolicy",
        "by-identity",
        action="ALLOW",
        rules=[{"from": [{"source": {"principals": ["cluster.local/ns/client/sa/sleep"]}}]}],
    )
    denied = replace(LINE, status=403, details="rbac_access_denied_matched_policy[none]")
    given = failure(curl=replace(CURL, status=403), line=denied, resources=configuration(policies=[policy]))
    sentence = BY_NAME["an AuthorizationPolicy denies the request"].of(at_waypoint(given))
    assert sentence is not None
    assert "mutual TLS" not in sentence
