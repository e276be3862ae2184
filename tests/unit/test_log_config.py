"""What the configuration of a proxy says about its access log, as Istio writes it for the settings of a mesh."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from pytest_istio_egress.cluster.log_config import COMPARED, FOUND_BY, log_problem
from pytest_istio_egress.model.access_log import parse_line, parse_own_line
from pytest_istio_egress.suite.discovery import fixtures_folder

TEXT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
"""EnvoyTextLogFormat in Istio's pilot/pkg/model/telemetry_logging.go, the same in 1.24 to 1.31."""
JSON = {
    "start_time": "%START_TIME%", "route_name": "%ROUTE_NAME%", "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%", "protocol": "%PROTOCOL%", "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%", "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%", "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%", "duration": "%DURATION%", "user_agent": "%REQ(USER-AGENT)%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%", "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "request_id": "%REQ(X-REQUEST-ID)%", "authority": "%REQ(:AUTHORITY)%", "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%", "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%", "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
}  # fmt: skip
"""EnvoyJSONLogFormatIstio of the same file."""


def file_log(**log_format: Any) -> dict[str, Any]:
    settings = {"@type": "x.FileAccessLog", "path": "/dev/stdout", "log_format": log_format}
    return {"name": "envoy.access_loggers.file", "typed_config": settings}


def text_log(text: str = TEXT) -> dict[str, Any]:
    return file_log(text_format_source={"inline_string": text})


def listener(*logs: dict[str, Any], kind: str = "HttpConnectionManager") -> dict[str, Any]:
    settings = {"@type": f"x.{kind}", **({"access_log": list(logs)} if logs else {})}
    return {"name": "0.0.0.0_8080", "filter_chains": [{"filters": [{"typed_config": settings}]}]}


@pytest.mark.parametrize("log", [text_log(), file_log(json_format=JSON)], ids=["text", "json"])
def test_istios_own_formats_serve(log: dict[str, Any]) -> None:
    assert log_problem([listener(log), listener(log, kind="TcpProxy")], parse_line, COMPARED) == ""


def without(*keys: str) -> dict[str, Any]:
    return file_log(json_format={key: value for key, value in JSON.items() if key not in keys})


EXPRESSION = {"extension_filter": {"typed_config": {"@type": "x.ExpressionFilter", "expression": "response.code>=400"}}}
PROBLEMS: dict[str, tuple[list[dict[str, Any]], str]] = {
    "no log": ([], "there is none"),
    "OpenTelemetry only": (
        [{"name": "envoy.access_loggers.open_telemetry", "typed_config": {"@type": "x.OpenTelemetryAccessLogConfig"}}],
        "it goes to envoy.access_loggers.open_telemetry",
    ),
    "a file": (
        [{"name": "f", "typed_config": {"@type": "x.FileAccessLog", "path": "/var/log/egress"}}],
        "it goes to the file /var/log/egress",
    ),
    "a filter of a Telemetry": ([{**text_log(), "filter": EXPRESSION}], "pass a filter (response.code>=400)"),
    "a text format of one's own": ([text_log("%START_TIME% %RESPONSE_CODE%\n")], "neither Istio's default text"),
    "JSON with few keys": (
        [without("upstream_cluster", "route_name")],
        "its format has no %UPSTREAM_CLUSTER_RAW%, %ROUTE_NAME%",
    ),
    "JSON without the client": ([without("downstream_remote_address")], "neither Istio's default text"),
    "JSON with another meaning": (
        [file_log(json_format=JSON | {"response_flags": "%RESPONSE_FLAGS_LONG%"})],
        "its format has no %RESPONSE_FLAGS%",
    ),
}


@pytest.mark.parametrize(("logs", "problem"), PROBLEMS.values(), ids=PROBLEMS)
def test_log_that_is_no_evidence_is_told_with_the_reason(logs: list[dict[str, Any]], problem: str) -> None:
    told = log_problem([listener(*logs)], parse_line, COMPARED)
    assert told
    assert problem in told


def test_one_of_several_logs_suffices() -> None:
    assert log_problem([listener({**text_log(), "filter": EXPRESSION}, text_log())], parse_line, COMPARED) == ""


def test_each_filter_that_handles_requests_needs_a_log() -> None:
    assert log_problem([listener(text_log()), listener(kind="TcpProxy")], parse_line, COMPARED) == "there is none"
    default = {"name": "virtualOutbound", "default_filter_chain": listener(kind="TcpProxy")["filter_chains"][0]}
    assert log_problem([listener(text_log()), default], parse_line, COMPARED) == "there is none"


def test_chain_for_the_sidecars_own_port_needs_no_log() -> None:
    silent = {**listener(kind="TcpProxy")["filter_chains"][0], "filter_chain_match": {"destination_port": 15001}}
    outbound = {"name": "virtualOutbound", "filter_chains": [silent, *listener(text_log())["filter_chains"]]}
    assert log_problem([outbound], parse_line, COMPARED) == ""


def test_proxy_without_requests_tells_nothing() -> None:
    assert log_problem([], parse_line, COMPARED) is None
    assert log_problem([listener(kind="Metadata")], parse_line, COMPARED) is None


def test_what_is_not_needed_may_be_missing() -> None:
    assert log_problem([listener(without("route_name"))], parse_line, FOUND_BY) == ""


def test_own_log_of_the_run_serves_beside_any_other() -> None:
    documents = list(yaml.safe_load_all((fixtures_folder() / "access_log.yaml").read_text()))
    values = [patch["patch"]["value"] for patch in documents[0]["spec"]["configPatches"]]
    own = values[0]["typed_config"]["access_log"][0]
    assert log_problem([listener(text_log("%START_TIME%\n"), own)], parse_own_line, COMPARED) == ""
    assert log_problem([listener(text_log())], parse_own_line, COMPARED)  # the mesh's own is not the run's
