"""ztunnel's access log: lines that a ztunnel wrote, in its plain format and as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from pytest_istio_egress.model.ztunnel_log import ZtunnelLine, parse_ztunnel_line

FIELDS = {
    "direct": {
        "src.addr": "127.0.0.1:43856", "src.workload": "local", "src.namespace": "default",
        "dst.addr": "127.0.0.5:8080", "dst.service": "by-ztunnel.test", "dst.workload": "by-ztunnel",
        "dst.namespace": "default", "direction": "outbound", "bytes_sent": 74, "bytes_recv": 721, "duration": "3ms",
    },
    "unlisted": {
        "src.addr": "127.0.0.1:43892", "src.workload": "local", "src.namespace": "default",
        "dst.addr": "127.0.0.77:8080", "direction": "outbound", "bytes_sent": 79, "bytes_recv": 721, "duration": "8ms",
    },
    "waypoint": {
        "src.addr": "127.0.0.1:43880", "src.workload": "local", "src.namespace": "default",
        "src.identity": "spiffe:///ns/default/sa/default", "dst.addr": "127.0.0.9:15008",
        "dst.hbone_addr": "127.10.0.2:80", "dst.service": "by-waypoint.test", "dst.workload": "waypoint-77",
        "dst.namespace": "default", "dst.identity": "spiffe:///ns/default/sa/waypoint", "direction": "outbound",
        "bytes_sent": 0, "bytes_recv": 0, "duration": "102ms",
        "error": "identity error: signing gRPC error (Unknown error): failed to parse header value",
    },
}  # fmt: skip
UNQUOTED = {"src.addr", "dst.addr", "dst.hbone_addr", "bytes_sent", "bytes_recv"}


def plain(name: str) -> str:
    """A line as ztunnel writes it by default."""
    fields = FIELDS[name]
    texts = " ".join(f"{key}={value}" if key in UNQUOTED else f'{key}="{value}"' for key, value in fields.items())
    level = "error" if "error" in fields else "info"
    return f"2026-11-27T21:27:58.925804Z\t{level}\taccess\tconnection complete\t{texts}"


def as_json(name: str) -> str:
    """The same with LOG_FORMAT=json."""
    head = {"level": "info", "time": "2026-11-27T21:28:09.211596Z", "scope": "access", "message": "connection complete"}
    return json.dumps({**head, **FIELDS[name]})


def line(raw: str) -> ZtunnelLine:
    parsed = parse_ztunnel_line(raw)
    assert parsed is not None
    return parsed


def test_recorded_line_is_the_one_that_ztunnel_wrote() -> None:
    assert plain("direct") == (
        "2026-11-27T21:27:58.925804Z\tinfo\taccess\tconnection complete\t"
        'src.addr=127.0.0.1:43856 src.workload="local" src.namespace="default" dst.addr=127.0.0.5:8080 '
        'dst.service="by-ztunnel.test" dst.workload="by-ztunnel" dst.namespace="default" direction="outbound" '
        'bytes_sent=74 bytes_recv=721 duration="3ms"'
    )


@pytest.mark.parametrize("form", [plain, as_json])
def test_connection_without_waypoint(form: Callable[[str], str]) -> None:
    parsed = line(form("direct"))
    assert (parsed.source, parsed.destination) == ("127.0.0.1:43856", "127.0.0.5:8080")
    assert (parsed.service, parsed.workload, parsed.direction) == ("by-ztunnel.test", "by-ztunnel", "outbound")
    assert (parsed.hbone, parsed.error, parsed.milliseconds, parsed.sent) == (False, "", 3, 74)
    assert (parsed.downstream_remote, parsed.user_agent) == ("127.0.0.1:43856", None)


@pytest.mark.parametrize("form", [plain, as_json])
def test_connection_to_address_of_no_entry_has_no_service(form: Callable[[str], str]) -> None:
    parsed = line(form("unlisted"))
    assert (parsed.service, parsed.workload, parsed.hbone) == ("", "", False)


@pytest.mark.parametrize("form", [plain, as_json])
def test_connection_to_waypoint_has_target_and_error(form: Callable[[str], str]) -> None:
    parsed = line(form("waypoint"))
    assert (parsed.hbone, parsed.target, parsed.upstream_address) == (True, "127.10.0.2:80", "127.0.0.9")
    assert parsed.identity == "spiffe:///ns/default/sa/default"
    assert parsed.error.startswith("identity error: signing gRPC error")


def test_quoted_text_is_unquoted() -> None:
    raw = plain("direct") + r' error="cannot read \"x\""'
    assert line(raw).error == 'cannot read "x"'


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "{",
        "{}",
        "[]",
        '{"scope": "access", "message": "connection opened", "src.addr": "127.0.0.1:1"}',
        "2026-11-27T21:28:00.121812Z\twarn\tidentity::manager\tcertificate fetch failed\tid=spiffe:///ns/default",
        "2026-11-27T21:28:00.121812Z\tdebug\taccess\tconnection opened\tsrc.addr=127.0.0.1:43856",
        "2026-11-27T21:28:00.121812Z\tinfo\taccess\tconnection complete\tdst.addr=127.0.0.1:43856",
    ],
)
def test_any_other_line_is_none(raw: str) -> None:
    assert parse_ztunnel_line(raw) is None
