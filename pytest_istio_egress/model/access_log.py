"""Envoy's access log: one line per request, read in Istio's default text format or its JSON encoding."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# [START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS DETAILS TERMINATION "FAILURE" RECEIVED SENT DURATION UPSTREAM_TIME
# "X-FORWARDED-FOR" "USER-AGENT" "X-REQUEST-ID" "AUTHORITY" "UPSTREAM_HOST" CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL
# DOWNSTREAM_REMOTE SERVER_NAME ROUTE
_TEXT = re.compile(
    r"\[(?P<start>[^\]]+)\] "
    r'"(?P<method>\S+) (?P<path>.*?) (?P<protocol>\S+)" '
    r"(?P<status>\d+) (?P<flags>\S+) (?P<details>\S+) (?P<termination>\S+) "
    r'"(?P<failure>.*?)" '
    r"(?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+|-) (?P<upstream_time>\S+) "
    r'"(?P<forwarded_for>.*?)" "(?P<user_agent>.*?)" "(?P<request_id>.*?)" "(?P<authority>.*?)" "(?P<upstream>.*?)" '
    r"(?P<cluster>\S+) (?P<upstream_local>\S+) (?P<downstream_local>\S+) (?P<downstream_remote>\S+) "
    r"(?P<server_name>\S+) (?P<route>\S+)\s*$"
)

_JSON_KEYS = {
    "method": "method",
    "protocol": "protocol",
    "status": "response_code",
    "flags": "response_flags",
    "details": "response_code_details",
    "failure": "upstream_transport_failure_reason",
    "duration": "duration",
    "user_agent": "user_agent",
    "request_id": "request_id",
    "authority": "authority",
    "upstream": "upstream_host",
    "cluster": "upstream_cluster",
    "upstream_local": "upstream_local_address",
    "downstream_local": "downstream_local_address",
    "downstream_remote": "downstream_remote_address",
    "server_name": "requested_server_name",
    "route": "route_name",
    "start": "start_time",
}


@dataclass(frozen=True, kw_only=True)
class AccessLogLine:
    """One entry, in Envoy's words; `-` is Envoy's own way to say that there is none. `duration` is in milliseconds."""

    raw: str
    start: str
    method: str
    protocol: str
    status: int
    flags: str
    details: str
    failure: str
    duration: int
    user_agent: str
    request_id: str
    authority: str
    upstream: str
    cluster: str
    upstream_local: str
    downstream_local: str
    downstream_remote: str
    server_name: str
    route: str

    @property
    def went_on(self) -> bool:
        """Whether this Envoy made, or had, a connection over which it sent the request on."""
        return self.upstream_local != "-"


def parse_line(raw: str) -> AccessLogLine | None:
    """Read one line of a proxy's log; None for anything that is no access-log entry in a known format."""
    if raw.startswith("{"):
        return _from_json(raw)
    match = _TEXT.match(raw)
    return _entry(raw, match.groupdict()) if match else None


def _from_json(raw: str) -> AccessLogLine | None:
    try:
        said = json.loads(raw)
    except json.JSONDecodeError:
        return None
    if not isinstance(said, dict) or "downstream_remote_address" not in said:
        return None
    return _entry(raw, {ours: said.get(theirs) for ours, theirs in _JSON_KEYS.items()})


def _entry(raw: str, words: dict[str, object]) -> AccessLogLine:
    def word(name: str) -> str:
        value = words.get(name)
        return "-" if value in (None, "") else str(value)

    def number(name: str) -> int:
        value = word(name)
        return int(value) if value.isdigit() else 0

    return AccessLogLine(
        raw=raw.rstrip(),
        status=number("status"),
        duration=number("duration"),
        **{
            name: word(name)
            for name in (
                "start", "method", "protocol", "flags", "details", "failure", "user_agent", "request_id", "authority",
                "upstream", "cluster", "upstream_local", "downstream_local", "downstream_remote", "server_name",
                "route",
            )
        },
    )  # fmt: skip
