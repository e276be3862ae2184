"""The log of the mesh's egress gateway: evidence if its lines come in time."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import cast

import pytest

from pytest_istio_egress.cluster import proxy_config
from pytest_istio_egress.cluster.admin import NoAnswerError
from pytest_istio_egress.cluster.api import Api
from pytest_istio_egress.cluster.gateway_log import problem_of
from pytest_istio_egress.cluster.pods import PROXY, Pod
from pytest_istio_egress.cluster.proxy_config import ProxyConfig
from pytest_istio_egress.model.timeouts import Timeouts

GATEWAY = Pod(namespace="istio-system", name="gateway", uid="", address="", injected=True, container=PROXY)


def problem(monkeypatch: pytest.MonkeyPatch, log: str | None, interval: str) -> str | None:
    info = {"command_line_options": {"file_flush_interval": interval}}
    monkeypatch.setattr(ProxyConfig, "log_problem", lambda *_: log)
    monkeypatch.setattr(proxy_config, "admin", lambda _api, _pod, path: json.dumps({"/server_info": info}[path]))
    return problem_of(cast(Api, SimpleNamespace(timeouts=Timeouts())), [GATEWAY])


@pytest.mark.parametrize(
    ("log", "interval", "expected"),
    [
        ("", "1s", ""),
        ("", "0.050s", ""),
        ("", "30s", "the gateway writes it only once in 30 s (fileFlushInterval)"),
        ("it goes to the file /x", "30s", "it goes to the file /x"),
        (None, "30s", None),
    ],
)
def test_log_whose_lines_come_too_late_is_no_evidence(
    monkeypatch: pytest.MonkeyPatch, log: str | None, interval: str, expected: str | None
) -> None:
    assert problem(monkeypatch, log, interval) == expected


def test_gateway_whose_admin_interface_is_elsewhere_is_no_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> str:
        raise NoAnswerError("the proxy of gateway -n istio-system did not respond")

    monkeypatch.setattr(proxy_config, "admin", refused)
    told = problem_of(cast(Api, SimpleNamespace(timeouts=Timeouts())), [GATEWAY])
    assert told == "the gateway's configuration cannot be read at the admin interface, port 15000 (proxyAdminPort)"
