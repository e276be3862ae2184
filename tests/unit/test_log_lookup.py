"""Lines of the access log are looked for as far back as the request is old."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fake_cluster import LINE, POD

from pytest_istio_egress.cluster import log_lookup
from pytest_istio_egress.cluster.log_lookup import AccessLogs
from pytest_istio_egress.model.access_log import AccessLogLine
from pytest_istio_egress.model.ztunnel_log import ZtunnelLine

TUNNEL = ZtunnelLine(raw="", source="10.1.0.1:4000", destination="10.1.0.2:15008", target="240.240.0.9:443")


class LateLog:
    """A log that is followed only now: its line is older than what the stream began with."""

    def __init__(self, age: float) -> None:
        self._age = age
        self._read = 0.0

    def of_request(self, _: str) -> AccessLogLine | None:
        return LINE if self._read >= self._age else None

    def of_peer(self, _: str, __: float) -> AccessLogLine | None:
        return self.of_request("")

    def of_destination(self, _: str, __: float) -> AccessLogLine | None:
        return self.of_request("")

    def read_back(self, seconds: float) -> None:
        self._read = seconds


@pytest.mark.parametrize("lookup", ["gateway", "proxy", "waypoint", "connection at the waypoint"])
def test_line_of_an_old_request_is_found_in_a_log_that_is_followed_only_now(
    monkeypatch: pytest.MonkeyPatch, lookup: str
) -> None:
    logs = AccessLogs(cast(Any, None), cast(Any, SimpleNamespace()), cast(Any, SimpleNamespace()))
    log = LateLog(age=60.0)
    monkeypatch.setattr(log_lookup.AccessLogs, "follow", lambda *_: log)
    sent = time.monotonic() - 61.0
    found = {
        "gateway": lambda: logs.gateway_line(LINE, [POD], since=sent, timeout=0.01),
        "proxy": lambda: logs.proxy_line(LINE, POD, since=sent, timeout=0.01),
        "waypoint": lambda: logs.waypoint_line([POD], "a", since=sent, timeout=0.01),
        "connection at the waypoint": lambda: logs.waypoint_connection([POD], TUNNEL, since=sent, timeout=0.01),
    }
    assert found[lookup]() is LINE
