"""When a failure is final before `timeouts.converge` is over: the proxies that decide it stand still."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_cluster import CASE, LINE, PASSES, POD, FakeApplier, FakeEnvironment, FakeProxySync, answer_to, case_setup
from fake_cluster import worker_context as context_of

from pytest_istio_egress import Hop, get, workload
from pytest_istio_egress.cluster.api import ClusterError
from pytest_istio_egress.cluster.configuration_state import ConfigurationState, configuration_state, state_of
from pytest_istio_egress.cluster.names import Names
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.result_names import FAILED
from pytest_istio_egress.pipeline import standstill
from pytest_istio_egress.pipeline.case_setup import CaseSetup
from pytest_istio_egress.pipeline.standstill import Standstill, concerned
from pytest_istio_egress.verdict.verdict import Answer, Expectation, Verdict

PROBE = (get("http://api.test/"), PASSES)
NAME = "outbound|80||api.k3x9q.test"
OTHER = "outbound|80||elsewhere.k3x9q.test"
NEIGHBOUR = "outbound|80||sleep.egress-client-k3x9q-gw1.svc.cluster.local"


def cluster(name: str = NAME, kind: str = "STATIC", **more: Any) -> dict[str, Any]:
    return {"cluster": {"name": name, "type": kind, **more}, "last_updated": "now"}


def listener(*chains: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": "0.0.0.0_80",
        "active_state": {"listener": {"name": "0.0.0.0_80", "filter_chains": [*chains]}},
        **more,
    }


def routes(*domains: str) -> dict[str, Any]:
    hosts = [{"name": domain, "domains": [domain]} for domain in domains]
    return {"route_config": {"name": "80", "virtual_hosts": hosts}}


def state(endpoints: str = "", **sections: list[dict[str, Any]]) -> ConfigurationState:
    concerns = concerned(Names("k3x9q", "gw0"), ["http://api.test/"])
    return state_of([{"@type": "a", **sections}], endpoints, concerns)


BEFORE = state(
    f"{NAME}::192.0.2.1:80::health_flags::healthy\n{NAME}::192.0.2.1:80::rq_total::1\n",
    dynamic_active_clusters=[cluster(), cluster(OTHER)],
    dynamic_listeners=[listener()],
    dynamic_route_configs=[routes("*", "api.k3x9q.test")],
)


@pytest.mark.parametrize(
    ("endpoints", "sections"),
    [
        (f"{NAME}::192.0.2.2:80::health_flags::healthy", {}),
        (f"{NAME}::192.0.2.1:80::health_flags::/failed_outlier_check", {}),
        (None, {"dynamic_active_clusters": [cluster(connect_timeout="1s")]}),
        (None, {"dynamic_listeners": [listener({"name": "another"})]}),
        (None, {"dynamic_listeners": [listener(error_state={"details": "rejected"})]}),
        (None, {"dynamic_route_configs": [routes("*")]}),
    ],
)
def test_each_change_that_concerns_the_test_is_another_state(endpoints: str | None, sections: dict[str, Any]) -> None:
    unchanged = {
        "dynamic_active_clusters": [cluster()],
        "dynamic_listeners": [listener()],
        "dynamic_route_configs": [routes("*", "api.k3x9q.test")],
    }
    same = f"{NAME}::192.0.2.1:80::health_flags::healthy"
    assert state(same, **unchanged) == BEFORE
    assert state(endpoints or same, **{**unchanged, **sections}) != BEFORE


def test_counters_markers_and_other_tests_of_the_run_are_no_change() -> None:
    marker = {"name": "istio-egress-marker-7", "active_state": {"listener": {"name": "istio-egress-marker-7"}}}
    after = state(
        f"{NAME}::192.0.2.1:80::health_flags::healthy\n{NAME}::192.0.2.1:80::rq_total::9\n{OTHER}::1.1.1.1:1::health_flags::healthy",
        dynamic_active_clusters=[cluster(), cluster(NEIGHBOUR)],
        dynamic_listeners=[listener({"filter_chain_match": {"server_names": ["elsewhere.k3x9q.test"]}}), marker],
        dynamic_route_configs=[
            routes("*", "api.k3x9q.test", "elsewhere.k3x9q.test"),
            {"route_config": {"name": "20007", "virtual_hosts": [{"name": "block_all", "domains": ["*"]}]}},
        ],
    )
    assert after == BEFORE


def test_routes_of_a_high_port_with_hosts_are_no_marker_of_which_envoy_keeps_the_routes() -> None:
    routes_of_port = {"route_config": routes("api.k3x9q.test")["route_config"] | {"name": "27017"}}
    assert state(dynamic_route_configs=[routes_of_port]) != state()


@pytest.mark.parametrize(
    ("endpoints", "sections", "pending"),
    [
        ("", {"dynamic_warming_clusters": [cluster()]}, True),
        ("", {"dynamic_warming_clusters": [cluster(OTHER)]}, False),
        ("", {"dynamic_warming_secrets": [{"name": "kubernetes://credential"}]}, True),
        ("", {"dynamic_listeners": [listener(warming_state={"version_info": "2"})]}, True),
        ("", {"dynamic_active_clusters": [cluster(kind="STRICT_DNS")]}, True),
        (
            f"{NAME}::1.1.1.1:80::health_flags::healthy",
            {"dynamic_active_clusters": [cluster(kind="STRICT_DNS")]},
            False,
        ),
        ("", {"dynamic_active_clusters": [cluster(kind="EDS")]}, False),
        (
            "",
            {
                "dynamic_active_clusters": [
                    {"cluster": {"name": NAME, "cluster_type": {"name": "envoy.clusters.dynamic_forward_proxy"}}}
                ]
            },
            True,
        ),
    ],
)
def test_what_is_pending(endpoints: str, sections: dict[str, Any], pending: bool) -> None:  # noqa: FBT001  # what is expected
    assert state(endpoints, **sections).pending is pending


def test_state_is_read_from_two_responses(monkeypatch: pytest.MonkeyPatch) -> None:
    dump = json.dumps({"configs": [{"dynamic_active_clusters": [cluster()]}]})
    responses = {"/config_dump": dump, "/clusters": ""}
    monkeypatch.setattr(ProxyConfig, "text", lambda _, path: responses[path])
    config = ProxyConfig(cast(Any, None), POD)
    assert configuration_state(config, lambda _: True) == state(dynamic_active_clusters=[cluster()])
    responses["/config_dump"] = "upstream connect error"
    with pytest.raises(ClusterError, match="invalid config dump"):
        configuration_state(config, lambda _: True)


class Observed:
    """A standstill with a clock of its own, over states that the test gives."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, expectations: Sequence[Expectation], **setup: Any) -> None:
        self.now = 100.0
        self.sidecar: AccessLogLine | None = None
        self.states: list[ConfigurationState | ClusterError] = []
        self.always: ConfigurationState | None = None
        self.sync = FakeProxySync()
        self.environment = FakeEnvironment()
        context = context_of(self.environment)
        self.setup: CaseSetup = case_setup(context, FakeApplier(), self.sync)
        self.setup.ensure_environment()
        self.setup.case, self.setup.changed_only_proxies = CASE, True
        for name, value in setup.items():
            setattr(self.setup, name, value)
        monkeypatch.setattr(standstill, "time", SimpleNamespace(monotonic=lambda: self.now))
        monkeypatch.setattr(standstill, "configuration_state", lambda *_: self._next())
        self.syncs = len(self.sync.waited)
        self.expectations = expectations
        self.standstill = Standstill(context, self.setup, expectations)

    def _next(self) -> ConfigurationState:
        each = self.always or self.states.pop(0)
        if isinstance(each, ClusterError):
            raise each
        return each

    def reached_after(self, seconds: float, *states: ConfigurationState | ClusterError) -> bool:
        self.now += seconds
        self.states += states
        answers = [answer_to(pair, FAILED) for pair in self.expectations]
        return self.standstill.reached([self._with_line(answer) for answer in answers])

    def _with_line(self, answer: Answer) -> Verdict:
        assert isinstance(answer, Verdict)
        addresses = {"gateway": frozenset({"10.244.0.9"})}
        return replace(answer, exchange=replace(answer.exchange, sidecar=self.sidecar, addresses=addresses))

    @property
    def markers(self) -> int:
        return len(self.sync.waited) - self.syncs


A, B = ConfigurationState("a", pending=False), ConfigurationState("b", pending=False)


def test_failure_is_final_once_the_proxies_stood_still_after_a_marker(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, [PROBE])
    assert not observed.reached_after(0.5)
    assert observed.markers == 0
    assert not observed.reached_after(0.6, A)
    assert observed.markers == 1
    assert not observed.reached_after(1.0, A)
    assert observed.reached_after(0.6, A)
    assert observed.markers == 1


def test_failure_is_not_final_while_something_changes_or_is_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, [PROBE])
    assert not observed.reached_after(1.1, A)
    assert not observed.reached_after(2.0, B)
    assert not observed.reached_after(2.0, replace(B, pending=True))
    assert not observed.reached_after(2.0, replace(B, pending=True))
    assert not observed.reached_after(2.0, B)
    assert observed.reached_after(2.0, B)


def test_failure_is_not_final_where_a_proxy_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, [PROBE])
    assert not observed.reached_after(1.1, ClusterError("no answer"))
    assert not observed.reached_after(5.0)
    assert not observed.reached_after(5.0)


OWN = (get("http://api.stripe.com/", client=workload("deployment/payments", namespace="payments")), PASSES)
AT_GATEWAY = (get("http://api.test/"), replace(PASSES, gateway=Hop(status=200)))


def test_failure_of_an_own_workload_is_final_once_its_marked_proxy_stood_still(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, [OWN], sync_workloads_again=lambda workloads: set(workloads) == {OWN[0].client})
    assert not observed.reached_after(1.1, A)
    assert observed.reached_after(1.6, A)


@pytest.mark.parametrize(
    ("expectation", "setup"),
    [
        (OWN, {}),
        (AT_GATEWAY, {}),
        (PROBE, {"case": replace(CASE, requires=("egress-gateway",))}),
        (PROBE, {"case": None}),
        (PROBE, {"changed_only_proxies": False}),
    ],
)
def test_what_no_marker_shows_is_waited_for(
    expectation: Expectation, setup: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    observed = Observed(monkeypatch, [expectation], **setup)
    assert not observed.reached_after(5.0)
    assert not observed.reached_after(5.0)


def line(**fields: Any) -> AccessLogLine:
    """Return the line of a sidecar that answered a request to a host that it does not know."""
    blocked = {"status": 502, "upstream": "-", "cluster": "-", "route": "block_all", "flags": "-"}
    return replace(LINE, **{**blocked, **fields})


SERVICE = {"kind": "Service", "metadata": {"name": "api"}, "spec": {"type": "ClusterIP"}}
SECRET = {"apiVersion": "v1", "kind": "Secret"}
TO_SERVICE = (get("http://api.egress-client.svc/"), PASSES)


FORWARDED = {"upstream": "10.244.0.9:80", "upstream_local": "10.244.0.7:4100"}
ISTIOD = {"changed_only_proxies": False, "changed_only_istiod": True}
BEYOND = {"changed_only_proxies": False, "changed_only_istiod": False}
OF_OWN_GATEWAY = (get("http://api.test/"), replace(PASSES, gateway=Hop(status=200, at="exit.egress-gateway")))
ELSEWHERE = (get("http://api.test/"), replace(PASSES, gateway=Hop(status=200, at="exit.payments")))


@pytest.mark.parametrize(
    ("expectation", "sidecar", "setup", "final"),
    [
        (AT_GATEWAY, line(), {}, True),
        (AT_GATEWAY, line(flags="UH", cluster="BlackHoleCluster"), {}, True),
        (AT_GATEWAY, line(flags="UH", cluster="outbound|80||api.test"), {}, False),
        (AT_GATEWAY, line(flags="UF", upstream="10.244.0.9:80"), {}, False),
        (AT_GATEWAY, line(flags="DF"), {}, False),
        (AT_GATEWAY, line(flags="FI"), {}, False),
        (AT_GATEWAY, line(flags="RL"), {}, False),
        (AT_GATEWAY, line(flags="NR"), {}, True),
        (AT_GATEWAY, line(upstream=None), {}, False),
        (AT_GATEWAY, None, {}, False),
        (OF_OWN_GATEWAY, line(**FORWARDED), ISTIOD, True),
        (OF_OWN_GATEWAY, line(**FORWARDED, flags="UF,URX"), ISTIOD, True),
        (OF_OWN_GATEWAY, line(flags="UF,URX", upstream="10.244.0.66:8443"), ISTIOD, False),
        (ELSEWHERE, line(**FORWARDED), ISTIOD, False),
        (ELSEWHERE, line(), ISTIOD, True),
        (PROBE, line(), {"case": None}, False),
        (PROBE, line(), BEYOND, True),
        (PROBE, line(**FORWARDED), ISTIOD, True),
        (PROBE, line(**FORWARDED), BEYOND, False),
        (PROBE, line(), {"case": replace(CASE, requires=("egress-gateway",))}, True),
        (TO_SERVICE, line(), ISTIOD, True),
        (TO_SERVICE, line(), ISTIOD | {"documents": [SERVICE]}, False),
        (TO_SERVICE, line(**FORWARDED), ISTIOD | {"documents": [SERVICE]}, False),
        (TO_SERVICE, line(), ISTIOD | {"documents": [SERVICE | {"spec": {"type": "ExternalName"}}]}, True),
    ],
)
def test_answer_that_the_lines_show_to_be_of_configuration_is_final(
    expectation: Expectation,
    sidecar: AccessLogLine | None,
    setup: dict[str, Any],
    final: bool,  # noqa: FBT001  # what is expected
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed = Observed(monkeypatch, [expectation], **setup)
    observed.environment.own_gateways = ["exit.egress-gateway"]
    observed.sidecar, observed.always = sidecar, A
    assert not observed.reached_after(1.1)
    assert observed.reached_after(1.6) is final


@pytest.mark.parametrize("marked", [True, False])
def test_answer_of_the_mesh_gateway_is_final_once_it_has_a_marker(
    marked: bool,  # noqa: FBT001  # what the gateway shows
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    observed = Observed(
        monkeypatch, [AT_GATEWAY], changed_only_istiod=True, sync_mesh_gateways=lambda: marked, case=CASE
    )
    monkeypatch.setattr(observed.setup.context.access_logs, "gateways", lambda: [POD])
    observed.sidecar = line(**FORWARDED)
    states = [A, A] if marked else []  # of the client and of the gateway
    assert not observed.reached_after(1.1, *states)
    assert observed.reached_after(1.6, *states) is marked


def test_mesh_gateway_that_a_later_attempt_reaches_gets_its_marker_then(monkeypatch: pytest.MonkeyPatch) -> None:
    marked: list[bool] = []

    def sync() -> bool:
        marked.append(True)
        return True

    observed = Observed(monkeypatch, [AT_GATEWAY], changed_only_istiod=True, sync_mesh_gateways=sync)
    monkeypatch.setattr(observed.setup.context.access_logs, "gateways", lambda: [POD])
    observed.always, observed.sidecar = A, line()
    assert not observed.reached_after(1.1)
    assert not marked
    observed.sidecar = line(**FORWARDED)
    assert not observed.reached_after(1.6)
    assert not observed.reached_after(1.0)
    assert observed.reached_after(0.6)
    assert marked == [True]


def test_what_markers_may_overtake_is_waited_for_by_two(monkeypatch: pytest.MonkeyPatch) -> None:
    observed = Observed(monkeypatch, [PROBE], first_manifests=lambda _: [SECRET], case=None)
    observed.setup.enter(CASE)
    observed.standstill = Standstill(observed.setup.context, observed.setup, [PROBE])
    observed.syncs, observed.sidecar = len(observed.sync.waited), line()
    assert not observed.reached_after(1.1, A)
    assert observed.markers == 2


@pytest.mark.parametrize(
    ("api_version", "kind", "expected"),
    [
        ("networking.istio.io/v1", "ServiceEntry", True),
        ("security.istio.io/v1", "AuthorizationPolicy", True),
        ("apps/v1", "Deployment", True),
        ("networking.k8s.io/v1", "NetworkPolicy", False),
        ("v1", "Service", False),
        ("v1", "Secret", False),
        ("gateway.networking.k8s.io/v1", "HTTPRoute", False),
    ],
)
def test_what_takes_effect_in_proxies_alone(api_version: str, kind: str, expected: bool) -> None:  # noqa: FBT001  # what is expected
    setup = case_setup(context_of(FakeEnvironment()), FakeApplier(), FakeProxySync())
    setup.first_manifests = lambda _: [{"apiVersion": api_version, "kind": kind}]
    setup.enter(CASE)
    assert setup.changed_only_proxies is expected
    setup.case = None
    setup.first_manifests = lambda _: []
    setup.enter(CASE)  # deletes it
    assert setup.changed_only_proxies is (kind != "NetworkPolicy"), "which is still enforced for a while"


def test_part_with_a_large_certificate_is_read_at_once() -> None:
    """Quadratic matching would take an hour."""
    concerns = concerned(Names("k3x9q", "gw0"), ["http://api.test/"])
    authorities = "QUJD" * 250_000
    assert concerns({"trusted_ca": {"inline_bytes": authorities}})
    assert not concerns({"inline_bytes": authorities, "name": OTHER})


def test_secrets_are_not_searched_for_hosts() -> None:
    searched: list[Any] = []
    secrets = [{"name": "file-root:system", "secret": {"inline_bytes": "QUJD"}}]

    def concerns(part: Any) -> bool:
        searched.append(part)
        return True

    state_of([{"dynamic_active_secrets": secrets, "dynamic_active_clusters": [cluster()]}], "", concerns)
    assert searched == [cluster()]
