"""The report is as its schema says, comes back as it was, and anything else is refused in one line."""

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
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED
from pytest_istio_egress.report import reader as reading
from pytest_istio_egress.report.document import FORMAT, Run, RunInfo, document_of, report_text
from pytest_istio_egress.report.reader import UnreadableError, read_report, run_of
from pytest_istio_egress.report.results import Result

SCHEMA = Path(pytest_istio_egress.__file__).parent / "report" / "conformance_report.schema.json"
ABOUT = RunInfo(
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
    sidecar='[t] "GET / HTTP/1.1" 200',
    cause="No timeout # cut it off",
    seconds=5.123,
    attempts=3,
    status=200,
    exit=0,
    client="sleep.egress-client",
    envoy_version="1.40.0",
    response_headers=("date", "server"),
    forward_proxy='[t] "CONNECT / HTTP/1.1" 200',
    evidence="report-evidence/timeouts/test_x/test_x/slow",
    differences=("HTTP status: expected 504, seen 200",),
)
TWICE = replace(
    SEEN,
    id="conformance/timeouts/test_x.py::test_twice",
    probes=tuple(
        replace(
            SEEN,
            id="conformance/timeouts/test_x.py::test_twice",
            evidence="",
            result=outcome,
            cause=cause,
            exit=code,
        )
        for outcome, cause, code in ((PASSED, "", 0), (FAILED, "No timeout # cut it off", 28))
    ),
)
RESULTS = [
    SEEN,
    TWICE,
    Result(id="conformance/timeouts/test_x.py::test_x[fast]", result=PASSED, area="timeouts", status=0, exit=56),
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
RUN = Run(info=ABOUT, results=RESULTS)


def test_valid_against_its_schema() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(yaml.safe_load(report_text(RUN)), schema)
    broken = document_of(RUN) | {"surprise": 1}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(broken, schema)


def test_same_bytes_in_any_order() -> None:
    for seed in range(5):
        shuffled = random.Random(seed).sample(RESULTS, len(RESULTS))
        assert report_text(Run(info=ABOUT, results=shuffled)) == report_text(RUN)


def test_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "report.yaml"
    path.write_text(report_text(RUN), encoding="utf-8")
    read = read_report(path)
    assert read.info == ABOUT
    assert {result.id: result for result in read.results}[SEEN.id] == SEEN
    assert {result.id: result for result in read.results}[TWICE.id] == TWICE
    assert sorted(map(repr, document_of(read)["behaviours"])) == sorted(map(repr, document_of(RUN)["behaviours"]))
    assert read.envoy == ["1.40.0"]


def test_cut_anywhere() -> None:
    """Whatever is missing at the end, the file is refused, unless all that was found out is still there."""
    text = report_text(RUN)
    for end in range(len(text)):
        try:
            read = run_of(text[:end], "cut.yaml")
        except UnreadableError as error:
            assert "\n" not in str(error)
        else:
            assert document_of(read)["behaviours"] == document_of(RUN)["behaviours"]
            assert "totals" in text[:end]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not a report"),
        (b"just words", "not a report"),
        (b"[1, 2]", "not a report"),
        (b"a: [", "not YAML"),
        (b"\xff\xfe\x00", "not text"),
        (b"a: \x00", "not YAML"),
        (b'<?xml version="1.0"?><testsuites/>', "YAML|not a report"),
        (b"apiVersion: wgpolicyk8s.io/v1alpha2\nkind: PolicyReport\nresults: []\n", "not a report"),
        (f"format: {FORMAT}\nversion: 0\n".encode(), "an older version"),
        (f"format: {FORMAT}\nversion: 3\n".encode(), "another version"),
        (f"format: {FORMAT}\nversion: [x]\n".encode(), "another version"),
        (f"format: {FORMAT}\nversion: 1\n".encode(), "damaged or cut.*totals"),
        (f"format: {FORMAT}\nversion: 1\nbehaviours: 7\ntotals: {{cases: 1}}\n".encode(), "damaged or cut"),
        (f"format: {FORMAT}\nversion: 1\nbehaviours: [7]\ntotals: {{cases: 1}}\n".encode(), "damaged or cut"),
        (b"[" * 100_000, "not YAML|no report"),
        (b"{a: " * 100_000, "not YAML|no report"),
        (b"!!python/object/apply:os.system [id]", "not YAML"),
        (b"x: 9999-99-99", "no report|not a report"),
    ],
    ids=range(18),
)
def test_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / "other.yaml"
    path.write_bytes(content)
    with pytest.raises(UnreadableError, match=told) as refused:
        read_report(path)
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


def test_missing_folder_and_huge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UnreadableError, match="No such file"):
        read_report(tmp_path / "none.yaml")
    with pytest.raises(UnreadableError, match="directory"):
        read_report(tmp_path)
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as file:
        os.truncate(file.fileno(), reading.LARGEST + 1)
    with pytest.raises(UnreadableError, match="MiB"):
        read_report(huge)
    # What says no size of its own is bounded all the same.
    monkeypatch.setattr(reading, "LARGEST", 1000)
    with pytest.raises(UnreadableError, match="MiB"):
        read_report(Path("/dev/zero"))


def test_case_twice_and_wrong_count() -> None:
    document = document_of(RUN)
    document["totals"]["cases"] = 4
    with pytest.raises(UnreadableError, match="4 cases"):
        run_of(yaml.safe_dump(document), "x")
    twice = document_of(Run(info=ABOUT, results=[SEEN, SEEN]))
    with pytest.raises(UnreadableError, match="twice"):
        run_of(yaml.safe_dump(twice), "x")


def test_small_file_that_means_millions() -> None:
    document = document_of(RUN)
    case = yaml.safe_dump(document["behaviours"][0]["cases"][0]).replace("\n", "\n    ")
    document.pop("behaviours")
    copies = ", ".join(["*c"] * 3000)
    text = (
        yaml.safe_dump(document)
        + f"anchor: &c\n    {case}\n"
        + f"many: &b {{says: s, source: t, cases: [{copies}]}}\n"
        + f"behaviours: [{', '.join(['*b'] * 3000)}]\n"
    )
    with pytest.raises(UnreadableError, match="damaged"):
        run_of(text, "x")


def test_a_report_of_the_first_version_is_read() -> None:
    """Version 1 had no name for what was asked besides the worst, for the forward proxy, nor for what was kept."""
    older = document_of(RUN) | {"version": 1}
    for name in ("stopped", "asking", "tools"):
        older["run"].pop(name)
    for case in (case for behaviour in older["behaviours"] for case in behaviour["cases"]):
        for name in ("probes", "forward_proxy", "evidence"):
            case.pop(name, None)
    jsonschema.validate(older, json.loads(SCHEMA.read_text(encoding="utf-8")))
    read = {result.id: result for result in run_of(yaml.safe_dump(older), "older.yaml").results}
    assert read[SEEN.id] == replace(SEEN, forward_proxy="", evidence="")


def test_a_case_is_asked_again_the_way_the_run_asked() -> None:
    case = next(case for case in document_of(RUN)["behaviours"][0]["cases"])
    assert shlex.split(case["reproduce"]) == [
        "pytest", "--istio-egress", "--istio-egress-target", "embedded", case["id"],
    ]  # fmt: skip
