"""Retries at a waypoint: by the rules of a VirtualService, and those that Istio adds where no rule says otherwise.

curl -> ztunnel --HBONE--> waypoint --3 attempts--> outside, which fails each of them
"""

import pytest

from pytest_istio_egress import (
    AMBIENT,
    Egress,
    Hop,
    Outcome,
    Probe,
    at_waypoint,
    documented,
    ended_by_waypoint,
    get,
    reached_by_waypoint,
)

WAYPOINT = "waypoint.egress-ambient"
RETRIED, REFUSED, REFUSED_ONCE = "waypoint-retried.test", "waypoint-refused.test", "waypoint-refused-once.test"
TIMED_OUT = frozenset({"UT,URX", "URX,UT"})
"""The last attempt timed out (UT), and no retry was left (URX); no document states the order of flags."""
NO_RETRY_LEFT = frozenset({"UF,URX", "URX,UF"})
"""The same where the last connection failed (UF)."""
ANSWERED = get(f"http://{RETRIED}/headers", client=AMBIENT, to=None)


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="A waypoint retries requests to a ServiceEntry as a VirtualService states, each attempt in its own time",
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/retries-by-virtual-service", "ambient/per-try-timeout-504"],
)
@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        pytest.param(
            ANSWERED,
            reached_by_waypoint(waypoint=Hop(flags="-", details="via_upstream", route="plain")),
            id="control-answered-at-once",
        ),
        pytest.param(
            get(f"http://{RETRIED}/status/503", client=AMBIENT, to=None),
            reached_by_waypoint(status=503, waypoint=Hop(flags="URX", details="via_upstream", route="retried")),
            id="each-attempt-failed",
        ),
        pytest.param(
            get(f"http://{RETRIED}/delay/2", client=AMBIENT, to=None),
            ended_by_waypoint(status=504, waypoint=Hop(flags=TIMED_OUT, route="timed"), seconds=1.0),
            id="each-attempt-too-late",
        ),
    ],
)
def test_waypoint_retries_as_virtual_service_states(egress: Egress, probe: Probe, expected: Outcome) -> None:
    egress.expect(probe, expected)


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="With attempts 2 a waypoint sends a failed request three times",
    manifests=["retries.yaml"],
    requires=["ambient", "address-allocation", "http-1.1-upstream"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/retries-by-virtual-service"],
)
def test_waypoint_sends_failed_request_as_often_as_configured(egress: Egress) -> None:
    answered = reached_by_waypoint(status=503, waypoint=Hop(flags="URX", details="via_upstream", route="retried"))
    expect_sent(egress, f"http://{RETRIED}/status/503", answered, times=3)


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="Without a retry rule for its status, a waypoint sends a failed request once",
    manifests=["retries.yaml"],
    requires=["ambient", "address-allocation", "default-retries", "http-1.1-upstream"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/retries-by-virtual-service"],
)
def test_waypoint_sends_failed_request_without_retry_rule_once(egress: Egress) -> None:
    answered = reached_by_waypoint(status=500, waypoint=Hop(flags="-", details="via_upstream", route="plain"))
    expect_sent(egress, f"http://{RETRIED}/status/500", answered, times=1)


@documented(
    source="concepts/traffic-management/#retries",
    summary="Without a rule a waypoint retries a request twice if the host refuses the connection",
    manifests=["retries.yaml"],
    requires=["ambient", "address-allocation", "two-default-retries"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/two-default-retries"],
)
def test_waypoint_retries_refused_connection_twice(egress: Egress) -> None:
    egress.expect(ANSWERED, reached_by_waypoint())
    expect_refused(egress, REFUSED, NO_RETRY_LEFT, times=3)


@documented(
    source="reference/config/networking/virtual-service/#HTTPRetry",
    summary="With attempts 0 a waypoint does not retry a request if the host refuses the connection",
    manifests=["retries.yaml"],
    requires=["ambient", "address-allocation"],
    fixtures=["ambient.yaml"],
    outcomes=["ambient/retries-disabled"],
)
def test_waypoint_does_not_retry_with_attempts_0(egress: Egress) -> None:
    egress.expect(ANSWERED, reached_by_waypoint())
    expect_refused(egress, REFUSED_ONCE, "UF", times=1)


def expect_sent(egress: Egress, url: str, answered: Outcome, times: int) -> None:
    # The first request waits for the rules: until they arrive it is retried as before, so it is not counted.
    egress.expect(get(url, client=AMBIENT, to=None), answered)
    name = egress.in_cluster(at_waypoint(RETRIED))
    before = egress.config(WAYPOINT).requests(name)
    verdict = egress.expect(get(f"{url}?counted", client=AMBIENT, to=None), answered)
    after = egress.config(WAYPOINT).requests(name)
    egress.check("requests that the waypoint sent to its endpoint", (after - before) / verdict.attempts, times)


def expect_refused(egress: Egress, host: str, flags: str | frozenset[str], times: int) -> None:
    # As above, with connections in the place of requests.
    refused = ended_by_waypoint(status=503, waypoint=Hop(cluster=at_waypoint(host), flags=flags))
    egress.expect(get(f"http://{host}/headers", client=AMBIENT, to=None), refused)
    name = egress.in_cluster(at_waypoint(host))
    before = egress.config(WAYPOINT).failed_connections(name)
    verdict = egress.expect(get(f"http://{host}/headers?counted", client=AMBIENT, to=None), refused)
    after = egress.config(WAYPOINT).failed_connections(name)
    egress.check("connections of the waypoint that its endpoint refused", (after - before) / verdict.attempts, times)
