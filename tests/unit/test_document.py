"""The report matches its schema and is read back unchanged; anything else is an error of one line."""

from __future__ import annotations

import json
import os
import random
import shlex
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
import yaml

import pytest_istio_egress
from pytest_istio_egress.model.difference import Difference
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report import reader
from pytest_istio_egress.report.document import FORMAT, Run, RunInfo, document_of, report_text
from pytest_istio_egress.report.reader import UnreadableError, read_report, run_of
from pytest_istio_egress.report.results import Result

SCHEMA = Path(pytest_istio_egress.__file__).parent / "report" / "conformance_report.schema.json"
INFO = RunInfo(
    suite="1.2.3",
    target="embedded",
    context="lab",
    kubernetes="v1.36.3",
    istio="1.30",
    outbound_mode="REGISTRY_ONLY",
    gateway="egress gateway g.istio-system",
    notes=("a: note", "yes"),
    features={"gateway-api": "no HTTPRoute", "egress-gateway": None},
    run="k3x9qb",
    began="2026-11-21T11:12:03+00:00",
    seconds=12.5,
    complete=False,
    stopped="interrupted",
    options=("--istio-egress-target", "embedded"),
    tools={"pytest": "9.0.1"},
)
SEEN = Result(
    id="conformance/timeouts/test_x.py::test_x[slow]",
    result=FAILED,
    area="timeouts",
    summary="A timeout cuts off: 'after' 3 s",
    source="https://istio.io/latest/docs/x/",
    probe="curl http://api.test",
    expected="status 504, exit 0",
    sidecar=HopLog(line="raw", status=200, flags="UT", cluster="outbound|80||api.test"),
    cause="No timeout # cut it off",
    seconds=5.123,
    attempts=3,
    status=200,
    exit=0,
    client="sleep.egress-client",
    envoy_version="1.40.0",
    response_headers=("date", "server"),
    gateway=HopLog(line="a line in an unknown format"),
    forward_proxy=HopLog(line="raw", status=200),
    server_saw="server outside, protocol HTTP/1.1",
    equal_values={"exit": ("52", "56")},
    assigned_addresses=("10.96.118.91",),
    evidence="report-evidence/timeouts/test_x/test_x/slow",
    differences=(Difference("client", "HTTP status", "504", "200"), Difference("sidecar", "route", "a: b", "")),
)
TWICE = replace(
    SEEN,
    id="conformance/timeouts/test_x.py::test_twice",
    probes=tuple(
        replace(
            SEEN,
            id="conformance/timeouts/test_x.py::test_twice",
            evidence="",
            result=result,
            cause=cause,
            exit=code,
        )
        for result, cause, code in ((PASSED, "", 0), (FAILED, "No timeout # cut it off", 28))
    ),
)
RESULTS = [
    SEEN,
    TWICE,
    Result(
        id="conformance/timeouts/test_x.py::test_x[fast]",
        result=PASSED,
        area="timeouts",
        status=0,
        exit=56,
        attempts=3,
        unsteady=("2 of 3 answers: HTTP status: expected 200, got 503",),
    ),
    Result(id="conformance/dns/test_d.py::test_d", result=SKIPPED, area="dns", cause="no gateway"),
    Result(id="conformance/dns/test_e.py::test_e", result=ERROR, area="dns", cause="API: \tdown\n: x"),
    Result(
        id="conformance/a/test_k.py::test_k",
        result=KNOWN_DEVIATION,
        area="a",
        known_deviation="ticket 1",
        cause="x",
        exit=7,
    ),
]
RUN = Run(info=INFO, results=RESULTS)


def test_report_matches_its_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(report_text(RUN)), schema)
    broken = document_of(RUN) | {"surprise": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_report_is_the_same_in_any_order_of_results() -> None:
    for seed in range(5):
        shuffled = random.Random(seed).sample(RESULTS, len(RESULTS))
        assert report_text(Run(info=INFO, results=shuffled)) == report_text(RUN)


def test_report_is_read_back_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "report.yaml"
    path.write_text(report_text(RUN), encoding="utf-8")
    read = read_report(path)
    assert read.info == INFO
    assert {result.id: result for result in read.results}[SEEN.id] == SEEN
    assert {result.id: result for result in read.results}[TWICE.id] == TWICE
    assert sorted(map(repr, document_of(read)["tests"])) == sorted(map(repr, document_of(RUN)["tests"]))
    assert read.envoy == ["1.40.0"]


def test_truncated_report_is_an_error_unless_its_tests_are_complete() -> None:
    text = report_text(RUN)
    for end in range(len(text)):
        try:
            read = run_of(text[:end], "cut.yaml")
        except UnreadableError as error:
            assert "\n" not in str(error)
        else:
            assert document_of(read)["tests"] == document_of(RUN)["tests"]
            assert "totals" in text[:end]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not a report"),
        (b"just words", "not a report"),
        (b"[1, 2]", "not a report"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not text"),
        (b"a: \x00", "not YAML"),
        (b'<?xml version="1.0"?><testsuites/>', "YAML|not a report"),
        (b"apiVersion: wgpolicyk8s.io/v1alpha2\nkind: PolicyReport\nresults: []\n", "not a report"),
        (f"format: {FORMAT}\nversion: 0\n".encode(), "unsupported report version 0"),
        (f"format: {FORMAT}\nversion: 4\n".encode(), "unsupported report version 4.*1, 2, 3"),
        (f"format: {FORMAT}\nversion: [x]\n".encode(), "unsupported report version"),
        (f"format: {FORMAT}\nversion: 3\n".encode(), "damaged or truncated.*totals"),
        (f"format: {FORMAT}\nversion: 3\ntests: 7\ntotals: {{parameters: 1}}\n".encode(), "damaged or truncated"),
        (f"format: {FORMAT}\nversion: 1\n".encode(), "damaged or truncated.*run"),
        (f"format: {FORMAT}\nversion: 3\ntests: [7]\ntotals: {{parameters: 1}}\n".encode(), "damaged or truncated"),
        (b"[" * 100_000, "not YAML|not a report"),
        (b"{a: " * 100_000, "not YAML|not a report"),
        (b"!!python/object/apply:os.system [id]", "not YAML"),
        (b"x: 9999-99-99", "not a report"),
    ],
    ids=range(19),
)
def test_other_file_is_an_error_of_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=message) as caught:
        read_report(path)
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


def test_missing_file_folder_and_huge_file_are_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        read_report(tmp_path / "none.yaml")
    with pytest.raises(UnreadableError, match="directory"):
        read_report(tmp_path)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), reader.LARGEST + 1)
    with pytest.raises(UnreadableError, match="MiB"):
        read_report(huge)
    # A device has no size; what is read of it is limited all the same.
    monkeypatch.setattr(reader, "LARGEST", 1000)
    with pytest.raises(UnreadableError, match="MiB"):
        read_report(Path("/dev/zero"))


def test_duplicate_parameter_and_wrong_total_are_errors() -> None:
    document = document_of(RUN)
    document["totals"]["parameters"] = 4
    with pytest.raises(UnreadableError, match="4 parameters"):
        run_of(yaml.safe_dump(document), "x")
    twice = document_of(Run(info=INFO, results=[SEEN, SEEN]))
    with pytest.raises(UnreadableError, match="duplicate"):
        run_of(yaml.safe_dump(twice), "x")


def test_aliases_that_multiply_results_are_an_error() -> None:
    document = document_of(RUN)
    parameter = yaml.safe_dump(document["tests"][0]["parameters"][0]).replace("\n", "\n    ")
    document.pop("tests")
    copies = ", ".join(["*c"] * 3000)
    text = (
        yaml.safe_dump(document)
        + f"anchor: &c\n    {parameter}\n"
        + f"many: &b {{summary: s, source: t, parameters: [{copies}]}}\n"
        + f"tests: [{', '.join(['*b'] * 3000)}]\n"
    )
    with pytest.raises(UnreadableError, match="damaged"):
        run_of(text, "x")


def test_totals_count_tests_and_parameters() -> None:
    totals = document_of(RUN)["totals"]
    assert totals == {
        "tests": 5, "parameters": 6, "passed": 1, "skipped": 1, "known deviation": 1, "failed": 2, "error": 1,
        "unsteady": 1,
    }  # fmt: skip


def test_reproduce_command_has_the_options_of_the_run() -> None:
    parameter = document_of(RUN)["tests"][0]["parameters"][0]
    assert shlex.split(parameter["reproduce"]) == [
        "pytest", "--istio-egress", "--istio-egress-target", "embedded", parameter["id"],
    ]  # fmt: skip
