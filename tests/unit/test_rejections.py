"""Rejected configuration is read from a proxy's log, whether Envoy prints the whole resource or not."""

from typing import Any, cast

import pytest
from fake_cluster import POD

from pytest_istio_egress.cluster.admin import NoAnswerError
from pytest_istio_egress.cluster.exec_connection import GoneError
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.cluster.rejections import error_states, logged_rejections

WHOLE = """2026-11-21T14:14:12.05Z\twarning\tenvoy config a.cc:282\tdelta config for type.googleapis.com/envoy.config.cluster.v3.Cluster rejected: goo.gle/debugstr   
name: "outbound|80||api.test"
type: EDS
metadata {
  name: "another"
}
: Proto constraint validation failed (RingHash: too large)\tthread=13
2026-11-21T14:14:12.06Z\twarning\tenvoy config b.cc:160\tgRPC config for type.googleapis.com/envoy.config.cluster.v3.Cluster rejected: goo.gle/debugstr   
name: "outbound|80||api.test"
: Proto constraint validation failed (RingHash: too large)\tthread=13
[2026-11-21T14:14:12.857Z] "GET /headers HTTP/1.1" 503 NC cluster_not_found
"""  # noqa: E501, W291  # as Envoy writes it
SHORT = "2026\tgRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: a b: no\tthread=1\n"


def test_printed_resource_is_named_once() -> None:
    assert logged_rejections(WHOLE) == [
        "Cluster outbound|80||api.test: Proto constraint validation failed (RingHash: too large)"
    ]


def test_short_entry_is_returned_as_it_is() -> None:
    assert logged_rejections(SHORT) == ["Listener a b: no"]


def test_log_without_rejections_returns_nothing() -> None:
    assert logged_rejections("2026\tinfo\tall is well\n") == []


JSON = r"""{"level":"warning","time":"2026-11-21T14:14:12.05Z","scope":"envoy config","msg":"delta config for type.googleapis.com/envoy.config.cluster.v3.Cluster rejected: goo.gle/debugstr   \nname: \"outbound|80||api.test\"\ntype: EDS\n: Proto constraint validation failed (RingHash: too large)","caller":"envoy config a.cc:282","thread":"13"}
{"level":"info","time":"2026-11-21T14:14:12.06Z","scope":"envoy main","msg":"all is well"}
{"level":"warning","time":"2026-11-21T14:14:12.07Z","scope":"envoy config","msg":"gRPC config for type.googleapis.com/envoy.config.listener.v3.Listener rejected: a b: no"}
{"level":"info","msg":"later"}
{broken
"""  # noqa: E501  # as Envoy writes it with global.logAsJson


def test_log_in_json_gives_the_same_entries() -> None:
    assert logged_rejections(JSON) == [
        "Cluster outbound|80||api.test: Proto constraint validation failed (RingHash: too large)",
        "Listener a b: no",
    ]


def test_pod_that_went_is_not_a_proxy_without_rejections() -> None:
    def gone(_: str) -> str:
        raise GoneError("the pod was replaced")

    with pytest.raises(GoneError):
        error_states(ProxyConfig(cast(Any, None), POD, gone))


def test_proxy_that_does_not_answer_names_no_rejection() -> None:
    def silent(_: str) -> str:
        raise NoAnswerError("no response")

    assert error_states(ProxyConfig(cast(Any, None), POD, silent)) == []
    assert error_states(ProxyConfig(cast(Any, None), POD, lambda _: "upstream connect error")) == []
