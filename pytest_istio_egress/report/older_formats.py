"""Converts reports of format versions 1 and 2 to version 3, so that nothing else has to know them.

Version 1 lacks `probes`, `forward_proxy`, `evidence`, and what version 2 tells about the run's options and end. Both
have other names for tests, parameters and results, access log lines as raw text only, and differences as sentences:

    behaviours:                                             tests:
    - says: ...                                             - summary: ...
      outcome: does not hold                                  result: failed
      cases:                                                  parameters:
      - sidecar: '[2026-...] "GET / HTTP/1.1" 200 ...'        - sidecar: {line: '[2026-...] ...', status: 200, ...}
        differences:                                            differences:
        - "HTTP status: expected 504, seen 200"                 - {hop: client, field: HTTP status, expected: ...}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pytest_istio_egress.model.addresses import is_assigned
from pytest_istio_egress.model.difference import Difference, HopName
from pytest_istio_egress.model.hop_log import HopLog
from pytest_istio_egress.model.result_names import ERROR, FAILED, KNOWN_DEVIATION, PASSED, SKIPPED

OLDER_VERSIONS = (1, 2)

RESULT_NAMES = {
    "holds": PASSED,
    "does not hold": FAILED,
    "cannot be asked": SKIPPED,
    "known deviation": KNOWN_DEVIATION,
    "error": ERROR,
}
FIELD_NAMES = {
    "outcome": "result",
    "known": "known_deviation",
    "expired": "expired_deviation",
    "outside": "server_saw",
    "answer_headers": "response_headers",
}
"""The renamed fields of a parameter and of a probe."""

_SENTENCE = re.compile(r"(?P<subject>.*?): expected (?P<expected>.*?), seen (?P<seen>.*)", re.DOTALL)
_SUBJECTS: tuple[tuple[HopName, str, str], ...] = (
    ("client", r"(HTTP status)", r"\1"),
    ("client", r"curl's exit code", "curl exit code"),
    ("client", r"header (\S+) of the answer", r"response header \1"),
    ("client", r"the answer's body", "response body"),
    ("client", r"the address curl connected to", "address that curl connected to"),
    ("client", r"time spent on it", "duration"),
    ("sidecar", r"Envoy's headers in the answer", "headers that Envoy added to the response"),
    ("sidecar", r"the sidecar's (.*)", r"\1"),
    ("egress gateway", r"the (?:egress )?gateway's (.*)", r"\1"),
    ("forward proxy", r"the forward proxy's (.*)", r"\1"),
    ("external server", r"the outside server (that answered)", r"\1"),
    ("external server", r"the outside server saw (.*)", r"\1"),
    ("external server", r"header (\S+) at the far end", r"request header \1"),
    ("external server", r"the request's headers at the far end", "request headers"),
    ("external server", r"the (.*) at the far end", r"\1"),
    ("control", r"a control .*", "request of the same client"),
)
"""How the subject of a sentence names a hop, and what the field is called now."""
_SEVERAL = re.compile(r"\b(exit|flags) (\S+(?: or \S+)+?)(?=, |$)")
_CONNECTED_TO = re.compile(r"\bconnected to ([\da-fA-F.:]+)(?=, |$)")


def current_format(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document as one of version 3; raises KeyError, TypeError or ValueError where it is damaged.

    `tests` and their `parameters` are converted only when they are read: with YAML's anchors a small file can stand
    for millions.
    """
    if document["version"] not in OLDER_VERSIONS:
        return dict(document)
    run = dict(document["run"])
    return {
        **document,
        "run": {**run, "options": run.get("asking", [])},
        "features": {
            name: {**feature, "available": feature["found"]} for name, feature in document["features"].items()
        },
        "tests": map(_test, document["behaviours"]),
        "totals": {"parameters": document["totals"]["cases"]},
    }


def _test(behaviour: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "summary": behaviour["says"],
        "source": behaviour["source"],
        "parameters": map(_parameter, behaviour["cases"]),
    }


def _parameter(case: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a parameter, or one of its probes."""
    described = {FIELD_NAMES.get(name, name): value for name, value in case.items()}
    described["result"] = RESULT_NAMES.get(str(case["outcome"]), case["outcome"])
    for name in ("sidecar", "gateway", "forward_proxy"):
        if case.get(name):
            described[name] = HopLog.parse(case[name]).to_mapping()
    if "differences" in case:
        described["differences"] = [difference_of(sentence).to_mapping() for sentence in case["differences"]]
    if "expected" in case:
        described["expected"] = case["expected"].replace("nobody outside reached", "no external server reached")
        described["assigned_addresses"] = list(filter(is_assigned, _CONNECTED_TO.findall(case["expected"])))
        described["equal_values"] = dict(_equal_values(case["expected"]))
    if "probes" in case:
        described["probes"] = map(_parameter, case["probes"])
    return described


def difference_of(sentence: str) -> Difference:
    """Read `HTTP status: expected 504, seen 200`; the hop is empty where the sentence does not name one."""
    parts = _SENTENCE.fullmatch(sentence)
    if parts is None:
        return Difference("", sentence, "not recorded", "not recorded")
    for hop, subject, field in _SUBJECTS:
        if found := re.fullmatch(subject, parts["subject"]):
            return Difference(hop, found.expand(field), parts["expected"], parts["seen"])
    return Difference("", parts["subject"], parts["expected"], parts["seen"])


def _equal_values(expected: str) -> Iterator[tuple[str, list[str]]]:
    """Yield the values that the line of the expected outcome names as equally right, by field."""
    for field, values in _SEVERAL.findall(expected):
        yield {"flags": "sidecar"}.get(field, field), sorted(values.split(" or "))
