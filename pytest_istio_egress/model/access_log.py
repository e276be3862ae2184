"""Envoy's access log: one line per request or connection, in Istio's default text format or its JSON encoding.

The run's own proxies have a log of their own (fixtures/access_log.yaml): the text format, with the word OWN at the end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from pytest_istio_egress.model.addresses import same_endpoint

# [START_TIME] "METHOD PATH PROTOCOL" CODE FLAGS DETAILS TERMINATION "FAILURE" RECEIVED SENT DURATION UPSTREAM_TIME
# "X-FORWARDED-FOR" "USER-AGENT" "X-REQUEST-ID" "AUTHORITY" "UPSTREAM_HOST" CLUSTER UPSTREAM_LOCAL DOWNSTREAM_LOCAL
# DOWNSTREAM_REMOTE SERVER_NAME ROUTE
_TEXT = re.compile(
    r"\[(?P<start>[^\]]+)\] "
    r'"(?P<method>\S+) (?P<path>.*?) (?P<protocol>\S+)" '
    r"(?P<status>\d+) (?P<flags>\S+) (?P<details>\S*) (?P<termination>\S*) "
    r'"(?P<failure>.*?)" '
    r"(?P<received>\d+) (?P<sent>\d+) (?P<duration>\d+|-) (?P<upstream_time>\S+) "
    r'"(?P<forwarded_for>.*?)" "(?P<user_agent>.*?)" "(?P<request_id>.*?)" "(?P<authority>.*?)" "(?P<upstream>.*?)" '
    r"(?P<cluster>\S+) (?P<upstream_local>\S+) (?P<downstream_local>\S+) (?P<downstream_remote>\S+) "
    r"(?P<server_name>\S+) (?P<route>\S+)\s*$"
)

OWN = "istio-egress"
"""The last word of a line in the log that fixtures/access_log.yaml adds to the run's own proxies."""

_JSON_KEYS = {
    "method": "method",
    "protocol": "protocol",
    "status": "response_code",
    "flags": "response_flags",
    "details": "response_code_details",
    "termination": "connection_termination_details",
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
    """One line, in Envoy's terms.

    `-` stands for a value that Envoy does not have, such as the route of a TCP connection (0 for numbers). None stands
    for a field that the format of the log does not have: its value is unknown.

    Addresses have their ports and one form: 10.244.0.9:41000, [fd00::9]:41000.
    """

    raw: str
    """The line as it was written, without OWN."""
    downstream_remote: str
    start: str | None
    method: str | None
    protocol: str | None
    status: int | None
    flags: str | None
    details: str | None
    failure: str | None
    duration: int | None
    """Milliseconds."""
    user_agent: str | None
    request_id: str | None
    authority: str | None
    upstream: str | None
    cluster: str | None
    upstream_local: str | None
    downstream_local: str | None
    server_name: str | None
    route: str | None
    termination: str | None = None
    """Why Envoy ended the connection (connection termination details), such as a refusal by a policy."""

    @property
    def forwarded(self) -> bool | None:
        """Whether this Envoy had an upstream connection over which it forwarded the request; None: unknown."""
        return None if self.upstream_local is None else self.upstream_local != "-"


def parse_line(raw: str) -> AccessLogLine | None:
    """Read one line of a proxy's log; None for any line that is not an access log entry in a known format."""
    if raw.startswith("{"):
        return _from_json(raw)
    match = _TEXT.match(raw)
    return _line(raw, match.groupdict()) if match else None


def parse_own_line(raw: str) -> AccessLogLine | None:
    """Read one line of the log of a proxy of the run; None for any other, such as one of the mesh's own log."""
    text, _, last = raw.rstrip().rpartition(" ")
    return parse_line(text) if last == OWN else None


def _from_json(raw: str) -> AccessLogLine | None:
    try:
        entry = json.loads(raw)
    except json.JSONDecodeError:
        return None
    if not isinstance(entry, dict) or not entry.get("downstream_remote_address"):
        return None
    return _line(raw, {name: entry[key] for name, key in _JSON_KEYS.items() if key in entry})


def _line(raw: str, values: Mapping[str, object]) -> AccessLogLine:
    def text(name: str) -> str | None:
        if name not in values:
            return None
        value = values[name]
        return "-" if value in (None, "") else str(value)

    def cluster() -> str | None:
        # %UPSTREAM_CLUSTER% is the cluster's alternative name for statistics, which ends with a delimiter (Istio 1.24.0
        # and 1.24.1 in JSON, formats of a mesh's own in any release).
        value = text("cluster")
        return value and value.removesuffix(";")

    def endpoint(name: str) -> str | None:
        value = text(name)
        return value and same_endpoint(value)

    def number(name: str) -> int | None:
        value = text(name)
        return None if value is None else int(value) if value.isdigit() else 0

    return AccessLogLine(
        raw=raw.rstrip(),
        downstream_remote=same_endpoint(str(values["downstream_remote"])),
        status=number("status"),
        duration=number("duration"),
        **{
            name: text(name)
            for name in (
                "start", "method", "protocol", "flags", "details", "failure", "user_agent", "request_id", "authority",
                "server_name", "route", "termination",
            )
        },
        cluster=cluster(),
        **{name: endpoint(name) for name in ("upstream", "upstream_local", "downstream_local")},
    )  # fmt: skip
