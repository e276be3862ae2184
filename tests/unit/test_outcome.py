"""The functions that build expected outcomes, and their adaptation to a probe and to a release of Istio."""

import pytest

from pytest_istio_egress import (
    Hop,
    Outcome,
    Probe,
    answered,
    blocked_http,
    blocked_tcp,
    blocked_tls,
    get,
    outbound,
    reached,
    reached_directly,
    tcp,
    timed_out,
    workload,
)
from pytest_istio_egress.model.outcome import BLACKHOLE_EXITS_OF_BYTES, PROBED_HOST
from pytest_istio_egress.model.sent_request import sent_request


def test_reached_is_200_of_the_server_through_the_probed_host() -> None:
    assert reached() == Outcome(status=200, reached="outside", cluster=PROBED_HOST)
    assert reached("second", status=503) == Outcome(status=503, reached="second", cluster=PROBED_HOST)
    assert reached(cluster="PassthroughCluster").cluster == "PassthroughCluster"


def test_reached_directly_has_no_sidecar_and_no_cluster() -> None:
    assert reached_directly(source="client") == Outcome(status=200, reached="outside", sidecar=False, source="client")


def test_blocked_http_is_502_by_block_all() -> None:
    assert blocked_http() == Outcome(status=502, route="block_all", details="direct_response")


def test_blocked_tcp_accepts_each_exit_of_a_dropped_connection() -> None:
    blocked = blocked_tcp()
    assert (blocked.cluster, blocked.flags, blocked.status) == ("BlackHoleCluster", "UH", None)
    assert blocked.exits == {52, 56}
    assert blocked_tcp(BLACKHOLE_EXITS_OF_BYTES).exits == {52, 55, 56}


def test_blocked_tls_is_blocked_tcp_with_exit_35() -> None:
    assert blocked_tls() == blocked_tcp(frozenset({35}))
    assert blocked_tls(flags="NR", cluster=None) == Outcome(exit=frozenset({35}), flags="NR")


def test_timed_out_is_504_after_its_seconds() -> None:
    assert timed_out(after=3) == Outcome(status=504, flags="UT", cluster=PROBED_HOST, seconds=3)


@pytest.mark.parametrize("outcome", [blocked_http(), blocked_tcp(), blocked_tls(), timed_out(after=1)])
def test_block_is_blocked(outcome: Outcome) -> None:
    assert outcome.blocked


CLUSTER = "outbound|80||partner.test"


@pytest.mark.parametrize(
    "outcome",
    [
        reached(),
        reached(status=503),
        reached_directly(),
        Outcome(status=200),
        answered(),
        answered(status=401),
        Outcome(status=403, cluster=CLUSTER),
        Outcome(status=401, cluster=CLUSTER, flags="-", details="via_upstream", gateway=Hop(details="via_upstream")),
        Outcome(exit=0, cluster="outbound|2525||ledger.payments.svc.cluster.local"),
    ],
)
def test_answer_is_not_blocked(outcome: Outcome) -> None:
    assert not outcome.blocked


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(exit=35),
        Outcome(exit=frozenset({52, 56})),
        Outcome(status=403, gateway=Hop(details="rbac_access_denied_matched_policy[none]")),
        Outcome(status=503, flags="UF", cluster=CLUSTER),
        Outcome(status=503, failure="CERTIFICATE_VERIFY_FAILED"),
        Outcome(status=404, gateway=Hop(flags="NR")),
        Outcome(status=503, proxy=Hop(cluster="BlackHoleCluster")),
    ],
)
def test_error_of_an_envoy_is_a_block(outcome: Outcome) -> None:
    assert outcome.blocked


def test_answered_is_reached_without_the_report_of_a_server() -> None:
    probe = get("http://partner.test/", client=workload("deployment/payments", namespace="payments"))
    assert answered().for_probe(probe) == Outcome(status=200, cluster=CLUSTER)


@pytest.mark.parametrize(("times", "share", "needed"), [(1, 1.0, 1), (15, 1.0, 15), (10, 0.8, 8), (15, 0.8, 12)])
def test_share_of_the_answers_is_rounded_up(times: int, share: float, needed: int) -> None:
    assert answered(times=times, share=share).needed == needed


@pytest.mark.parametrize(("times", "share"), [(0, 1.0), (-1, 1.0), (5, 0.0), (5, 1.1), (1, 0.5)])
def test_number_of_answers_that_accepts_anything_is_refused(times: int, share: float) -> None:
    with pytest.raises(ValueError, match="times"):
        answered(times=times, share=share)


def test_outbound_is_istios_name_of_the_cluster() -> None:
    assert outbound("api.test") == "outbound|80||api.test"
    assert outbound("api.test", 443, subset="tls") == "outbound|443|tls|api.test"


@pytest.mark.parametrize(
    ("probe", "cluster"),
    [
        (get("http://api.test/headers"), "outbound|80||api.test"),
        (get("https://api.test/headers"), "outbound|443||api.test"),
        (get("http://api.test:8081/"), "outbound|8081||api.test"),
        (tcp("api.test", 9000), "outbound|9000||api.test"),
    ],
)
def test_cluster_is_that_of_the_probed_host_and_port(probe: Probe, cluster: str) -> None:
    assert reached().for_probe(probe).cluster == cluster
    assert timed_out(after=1).for_probe(probe).cluster == cluster


@pytest.mark.parametrize("outcome", [blocked_http(), blocked_tcp(), reached_directly(), reached(cluster="other")])
def test_stated_cluster_is_kept(outcome: Outcome) -> None:
    assert outcome.for_probe(get("http://api.test/")).cluster == outcome.cluster


def test_external_server_receives_what_the_probe_sent_unless_the_case_states_another_value() -> None:
    probe = get("http://api.test/headers")
    received = reached(server_saw={"host": "rewritten.test", "alpn": "h2"}).for_probe(probe).server_saw
    assert received == {**sent_request(probe), "host": "rewritten.test", "alpn": "h2"}


@pytest.mark.parametrize("outcome", [blocked_http(), timed_out(after=1), Outcome(status=200)])
def test_nothing_is_derived_where_no_external_server_answers(outcome: Outcome) -> None:
    assert outcome.for_probe(get("http://api.test/")).server_saw == {}


def test_outcome_for_a_probe_stays_the_same_when_it_is_derived_again() -> None:
    probe = get("http://api.test/headers")
    assert reached().for_probe(probe).for_probe(probe) == reached().for_probe(probe)


def test_cluster_of_an_older_releases_outcome_is_that_of_the_probe() -> None:
    outcome = reached(before_istio={"1.30": reached(status=503)})
    older = outcome.for_probe(get("http://api.test/")).for_istio("1.29.1")
    assert (older.status, older.cluster) == (503, "outbound|80||api.test")


BY_RELEASE = reached(before_istio={"1.30": blocked_http(), "1.9": blocked_tls(), "1.28": blocked_tcp()})


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("1.8.3", blocked_tls()),
        ("1.9", blocked_tcp()),
        ("1.27.5", blocked_tcp()),
        ("1.28.0", blocked_http()),
        ("1.29-dev", blocked_http()),
        ("1.30.0", BY_RELEASE),
        ("1.31-dev", BY_RELEASE),
        ("2.0", BY_RELEASE),
    ],
)
def test_outcome_is_that_of_the_first_release_after_the_version(version: str, expected: Outcome) -> None:
    assert BY_RELEASE.for_istio(version) == expected


@pytest.mark.parametrize("version", ["", "c0ffee1"])
def test_version_that_is_no_release_is_not_taken_for_the_newest(version: str) -> None:
    with pytest.raises(ValueError, match="is not a release of Istio"):
        BY_RELEASE.for_istio(version)
    assert reached().for_istio(version) == reached()


def test_outcome_without_older_releases_is_that_of_each_version() -> None:
    assert reached().for_istio("1.0") == reached()
