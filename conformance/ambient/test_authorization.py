"""AuthorizationPolicies whose target is a ServiceEntry: its waypoint enforces them; without one, nothing does."""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Hop,
    Outcome,
    Probe,
    documented,
    ended_by_waypoint,
    get,
    reached_by_waypoint,
    reached_by_ztunnel,
)

POST = ("--request", "POST")
POSTED = {"method": "POST"}
DENIED = Hop(details="rbac_access_denied_matched_policy[none]")


@documented(
    source="ambient/usage/l7-features/#authorization-policies",
    summary="A waypoint allows only the requests that an AuthorizationPolicy with the ServiceEntry as target allows",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/policy-on-entry-get-200", "ambient/policy-on-entry-post-403"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://only-get.test/anything", client=AMBIENT, to=None), reached_by_waypoint(), id="allowed-method"
        ),
        pytest.param(
            get("http://only-get.test/anything", client=AMBIENT, to=None, arguments=POST),
            ended_by_waypoint(status=403, waypoint=DENIED, body="RBAC: access denied"),
            id="another-method",
        ),
        pytest.param(
            get("http://no-policy.test/anything", client=AMBIENT, to=None, arguments=POST),
            reached_by_waypoint(server_saw=POSTED),
            id="control-entry-without-policy",
        ),
        pytest.param(
            get("http://this-client.test/anything", client=AMBIENT, to=None), reached_by_waypoint(), id="this-namespace"
        ),
        pytest.param(
            get("http://no-client.test/anything", client=AMBIENT, to=None),
            ended_by_waypoint(status=403, waypoint=DENIED),
            id="another-namespace",
        ),
    ],
)
def test_waypoint_enforces_policy_on_entry(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="ambient/usage/l4-policy/",
    summary="Nothing enforces an AuthorizationPolicy whose target is a ServiceEntry without a waypoint",
    manifests=["authorization_without_waypoint.yaml"],
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/policy-without-waypoint-ignored"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://unenforced.test/anything", client=AMBIENT, to=None, arguments=POST),
            reached_by_ztunnel(server_saw=POSTED),
            id="entry-without-waypoint",
        ),
        pytest.param(
            get("http://enforced.test/anything", client=AMBIENT, to=None, arguments=POST),
            ended_by_waypoint(status=403, waypoint=DENIED),
            id="the-same-policy-with-waypoint",
        ),
    ],
)
def test_policy_on_entry_without_waypoint_is_not_enforced(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="ambient/usage/l4-policy/",
    summary="ztunnel enforces the AuthorizationPolicies of a pod on connections to it, not on those that it opens",
    manifests=["client_policy.yaml"],
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/client-policy-not-on-egress"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            get("http://from-denied-client.test/headers", client=AMBIENT, to=None),
            reached_by_ztunnel(),
            id="from-a-pod-that-denies-all",
        ),
    ],
)
def test_policy_of_client_does_not_limit_egress(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)
