"""Why the access log of a proxy cannot be used: told by the proxy's configuration, for our own log and for others."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.inspection import proxies
from pytest_istio_egress.cluster.log_config import LineParser
from pytest_istio_egress.cluster.logs import ProxyLog
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.access_log import AccessLogLine, parse_line, parse_own_line

POD = Pod(namespace="here", name="sleep", uid="1", address="10.1.0.1", injected=True, container="curl")


def log_of(parse: LineParser, trouble: str | None = None) -> ProxyLog[AccessLogLine]:
    return cast(
        ProxyLog[AccessLogLine], SimpleNamespace(pod=POD, parse=parse, trouble=trouble, readable=0, unreadable=3)
    )


@pytest.mark.parametrize(
    ("parse", "problem", "told"),
    [
        (parse_line, "", ""),
        (parse_line, None, ""),
        (
            parse_line,
            "it goes to the file /x",
            "the access log of sleep -n here cannot be used: it goes to the file /x",
        ),
        (parse_own_line, "there is none", "lacks the run's own access log"),
    ],
)
def test_problem_of_the_configuration_is_told(
    parse: LineParser, problem: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ProxyConfig, "log_problem", lambda *_: problem)
    text = proxies.log_trouble(cast(Api, None), log_of(parse))
    assert told in text
    assert bool(told) is bool(text)


def test_log_that_cannot_be_read_is_told_first() -> None:
    assert "cannot read the log of sleep" in proxies.log_trouble(cast(Api, None), log_of(parse_line, "it is gone"))


def test_advice_on_the_format_is_for_logs_of_the_mesh_only() -> None:
    assert "cannot be parsed" in proxies.line_missing(log_of(parse_line))
    assert "did not log it" in proxies.line_missing(log_of(parse_own_line))
