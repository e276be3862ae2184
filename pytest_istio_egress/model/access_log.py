"""Envoy's access log: one line per request or connection, in Istio's default text format or its JSON encoding."""

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
    """One line, in Envoy's terms; `-` stands for a value that Envoy does not have."""

    raw: str
    """The line as it was written."""
    start: str
    method: str
    protocol: str
    status: int
    flags: str
    details: str
    failure: str
    duration: int
    """Milliseconds."""
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
    def forwarded(self) -> bool:
        """Whether this Envoy had an upstream connection over which it forwarded the request."""
        return self.upstream_local != "-"


def parse_line(raw: str) -> AccessLogLine | None:
    """Read one line of a proxy's log; None for any line that is not an access log entry in a known format."""
    if raw.startswith("{"):
        return _from_json(raw)
    match = _TEXT.match(raw)
    return _line(raw, match.groupdict()) if match else None


def _from_json(raw: str) -> AccessLogLine | None:
    try:
        entry = json.loads(raw)
    except json.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or "downstream_remote_address" not in entry:
        return None
    values = {name: entry.get(key) for name, key in _JSON_KEYS.items()}
    # Istio 1.24.0 and 1.24.1 log the cluster's alternative name for statistics, which ends with a delimiter.
    return _line(raw, values | {"cluster": str(values["cluster"] or "").removesuffix(";")})


def _line(raw: str, values: dict[str, object]) -> AccessLogLine:
    def text(name: str) -> str:
        value = values.get(name)
        return "-" if value in (None, "") else str(value)

    def number(name: str) -> int:
        value = text(name)
        return int(value) if value.isdigit() else 0

    return AccessLogLine(
        raw=raw.rstrip(),
        status=number("status"),
        duration=number("duration"),
        **{
            name: text(name)
            for name in (
                "start", "method", "protocol", "flags", "details", "failure", "user_agent", "request_id", "authority",
                "upstream", "cluster", "upstream_local", "downstream_local", "downstream_remote", "server_name",
                "route",
            )
        },
    )  # fmt: skip
