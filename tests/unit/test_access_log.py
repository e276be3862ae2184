"""Access log lines as real proxies wrote them."""

import json
import re

import pytest
import yaml

from pytest_istio_egress.model.access_log import parse_line, parse_own_line
from pytest_istio_egress.suite.discovery import fixtures_folder

BLACK_HOLE = (
    '[2023-05-15T12:19:03.577Z] "- - -" 0 UH - - "-" 0 0 0 - "-" "-" "-" "-" "-" BlackHoleCluster - '
    "10.107.249.242:8080 172.17.247.52:58820 - -"
)
BLOCK_ALL = (
    '[2023-05-15T12:24:40.757Z] "HEAD / HTTP/1.1" 502 - direct_response - "-" 0 0 0 - "-" "curl/7.74.0" '
    '"952652df-7761-4f15-be58-776eeedfb6cf" "helloworld.default.svc.cluster.local" "-" - - 10.108.186.1:80 '
    "172.17.247.52:57516 - block_all"
)
DENIED = (
    '[2026-11-27T06:57:17.608Z] "- - -" 0 - - '
    'rbac_access_denied_matched_policy[ns[istio-system]-policy[no-posts]-rule[0]] "-" 517 0 0 - "-" "-" "-" "-" '
    '"10.96.200.80:443" outbound|443||partner.test 10.244.0.4:41436 10.244.0.4:8443 10.244.0.9:41526 partner.test -'
)
FAILURE = (
    '[2026-11-21T10:00:00.000Z] "GET /a b HTTP/1.1" 503 UF upstream_reset_before_response_started{x} - '
    '"TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED" 0 91 12 - "-" "curl" "id" "h" '
    '"10.0.0.1:443" outbound|443||h 10.1.1.1:1 10.1.1.2:80 10.1.1.3:40000 h default'
)


NO_FILTER = (
    '[2026-11-28T12:54:19.768Z] "GET /get HTTP/1.1" 500 NFCF  - "-" 0 0 0 - "-" "curl/7.88.1" '
    '"ef74dd95-2a61-4d98-abac-7a64b084748f" "other.test" "-" outbound|80||other.test - 10.96.200.81:80 '
    "10.244.0.32:36920 - default"
)


def test_line_without_response_code_details_is_parsed() -> None:
    line = parse_line(NO_FILTER)
    assert line is not None
    assert (line.status, line.flags, line.details, line.termination) == (500, "NFCF", "-", "-")
    assert (line.cluster, line.route) == ("outbound|80||other.test", "default")


def test_text_line_of_dropped_connection_is_parsed() -> None:
    line = parse_line(BLACK_HOLE)
    assert line is not None
    assert (line.status, line.flags, line.cluster) == (0, "UH", "BlackHoleCluster")
    assert line.downstream_remote == "172.17.247.52:58820"
    assert line.user_agent == "-"


def test_text_line_of_direct_response_is_parsed() -> None:
    line = parse_line(BLOCK_ALL + "\n")
    assert line is not None
    assert line.method == "HEAD"
    assert (line.status, line.flags, line.details, line.route) == (502, "-", "direct_response", "block_all")
    assert line.cluster == "-"
    assert line.request_id == "952652df-7761-4f15-be58-776eeedfb6cf"


def test_transport_failure_with_spaces_and_bars_is_parsed() -> None:
    line = parse_line(FAILURE)
    assert line is not None
    assert line.failure
    assert "CERTIFICATE_VERIFY_FAILED" in line.failure
    assert (line.cluster, line.server_name, line.duration) == ("outbound|443||h", "h", 12)


def test_termination_details_of_a_denied_connection_are_parsed() -> None:
    line = parse_line(DENIED)
    assert line is not None
    assert line.termination == "rbac_access_denied_matched_policy[ns[istio-system]-policy[no-posts]-rule[0]]"
    assert line.details == "-"
    written = {"downstream_remote_address": "10.0.0.1:1", "connection_termination_details": "rbac_access_denied"}
    as_json = parse_line(json.dumps(written))
    assert as_json is not None
    assert as_json.termination == "rbac_access_denied"


def test_json_line_gives_the_same_fields() -> None:
    raw = json.dumps(
        {
            "response_code": 502,
            "response_flags": "-",
            "response_code_details": "direct_response",
            "route_name": "block_all",
            "downstream_remote_address": "172.17.247.52:57516",
            "upstream_cluster": None,
            "duration": 3,
        }
    )
    line = parse_line(raw)
    assert line is not None
    assert (line.status, line.route, line.cluster, line.duration) == (502, "block_all", "-", 3)


def test_field_that_a_json_format_does_not_have_is_unknown() -> None:
    raw = json.dumps({"downstream_remote_address": "10.0.0.1:1", "response_flags": None, "response_code": 0})
    line = parse_line(raw)
    assert line is not None
    assert (line.flags, line.status) == ("-", 0)
    assert (line.cluster, line.route, line.duration, line.user_agent, line.forwarded) == (None, None, None, None, None)


def test_own_line_is_the_text_format_with_a_mark() -> None:
    line = parse_own_line(BLOCK_ALL + " istio-egress\n")
    assert line is not None
    assert line.raw == BLOCK_ALL
    assert line == parse_line(BLOCK_ALL)


@pytest.mark.parametrize("raw", [BLOCK_ALL, BLACK_HOLE, "Envoy says istio-egress", '{"method": "GET"}', ""])
def test_line_of_the_meshs_own_log_is_none_of_the_runs(raw: str) -> None:
    assert parse_own_line(raw) is None


def test_format_of_the_runs_own_log_is_the_one_that_is_read() -> None:
    documents = list(yaml.safe_load_all((fixtures_folder() / "access_log.yaml").read_text()))
    patches = documents[0]["spec"]["configPatches"]
    values = [patch["patch"]["value"] for patch in patches]
    logs = [log for value in values for log in value.get("typed_config", value)["access_log"]]
    assert [patch["applyTo"] for patch in patches] == ["NETWORK_FILTER", "NETWORK_FILTER", "LISTENER"]
    for log in logs:
        text = log["typed_config"]["log_format"]["text_format_source"]["inline_string"]
        values_of = {"%RESPONSE_CODE%": "502", "%DURATION%": "3", "%ROUTE_NAME%": "block_all", "%BYTES_SENT%": "0"}
        raw = re.sub(r"%[^%]+%", lambda match: values_of.get(match[0], "0"), text)  # noqa: B023  # used at once
        line = parse_own_line(raw)
        assert line
        assert (line.status, line.duration, line.route) == (502, 3, "block_all")
        assert text.endswith(" istio-egress\n")


def test_json_line_of_istio_1_24_0_has_cluster_without_delimiter() -> None:
    raw = json.dumps({"downstream_remote_address": "10.0.0.1:1", "upstream_cluster": "outbound|80||api.test;"})
    line = parse_line(raw)
    assert line is not None
    assert line.cluster == "outbound|80||api.test"


def test_text_line_with_the_statistics_name_has_cluster_without_delimiter() -> None:
    cluster = "outbound|443||partner.test"
    line = parse_line(DENIED.replace(cluster, f"{cluster};"))
    assert line is not None
    assert line.cluster == cluster


@pytest.mark.parametrize(
    "raw",
    ["", "2026-11-21T10:00:00Z info Envoy proxy is ready", '{"level":"info","msg":"x"}', "{broken", BLOCK_ALL[:120]],
)
def test_other_line_is_none(raw: str) -> None:
    assert parse_line(raw) is None


def test_line_without_upstream_connection_was_not_forwarded() -> None:
    dropped, failed = parse_line(BLACK_HOLE), parse_line(FAILURE)
    assert dropped is not None
    assert failed is not None
    assert not dropped.forwarded
    assert failed.forwarded


def test_addresses_of_both_families_have_one_form() -> None:
    written = FAILURE.replace("10.0.0.1:443", "[fd00:0:0:0::1]:443").replace(
        "10.1.1.3:40000", "[::ffff:10.1.1.3]:40000"
    )
    line = parse_line(written.replace("10.1.1.1:1 ", "[fd00::2]:1 "))
    assert line is not None
    assert (line.upstream, line.upstream_local, line.downstream_remote) == (
        "[fd00::1]:443",
        "[fd00::2]:1",
        "10.1.1.3:40000",
    )
