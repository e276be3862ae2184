"""Runs the suite on meshes that are broken from outside, and writes every sentence to docs/broken_meshes.md.

    python demonstrations/broken_meshes/broken_meshes.py [NAME ...]

meshes.yaml describes each. The suite runs on it unchanged: what fails must be explained by a sentence that is true of
this mesh, or by none. The results are saved in sentences.yaml, which the page shows. The exit status is 1 where a
sentence is false.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from demonstrations.cluster_tools import kubectl
from demonstrations.command_line import check_names, parser_of
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED
from pytest_istio_egress.report.reader import read_report
from pytest_istio_egress.verdict.diagnosis import CLAIMS_NOTHING

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "broken_meshes.md"
SENTENCES = HERE / "sentences.yaml"
CLUSTER = "broken-meshes"
TESTS = tuple(
    f"conformance/{area}"
    for area in (
        "outbound_policy", "service_entry", "virtual_service", "timeouts", "tls_origination", "egress_gateway",
    )
)  # fmt: skip
_DIFFERENCE = re.compile(r"[^:]+: expected .*, got .*")
"""What a failed check without a cause has in its place."""


@dataclass(frozen=True, kw_only=True)
class BrokenMesh:
    """One entry of meshes.yaml, whose head explains the fields."""

    name: str
    phrases: Sequence[str]
    apply: str = ""
    kubectl: Sequence[str] = ()
    mend: Sequence[str] = ()
    options: Sequence[str] = ()
    tests: Sequence[str] = TESTS

    def is_true(self, sentence: str) -> bool:
        """Whether a sentence is true of this mesh, or claims nothing."""
        return claims_nothing(sentence) or any(part in sentence for part in self.phrases)


def claims_nothing(sentence: str) -> bool:
    """Whether a sentence states no cause."""
    return _DIFFERENCE.fullmatch(sentence) is not None or any(part in sentence for part in CLAIMS_NOTHING)


def load() -> dict[str, BrokenMesh]:
    """Read the meshes, by name."""
    return {entry["name"]: BrokenMesh(**entry) for entry in yaml.safe_load((HERE / "meshes.yaml").read_text())}


def run_on(mesh: BrokenMesh, cluster: EmbeddedCluster) -> dict[str, Any]:
    """Break the mesh, run the suite, mend the mesh; return the counts, and the parameters by sentence."""
    sys.stderr.write(f"== {mesh.name}\n")
    for command in mesh.kubectl:
        kubectl(cluster, *shlex.split(command))
    if mesh.apply:
        kubectl(cluster, "apply", "-f", "-", stdin=mesh.apply)
    try:
        return run_suite(mesh, cluster)
    finally:
        if mesh.apply:
            kubectl(cluster, "delete", "-f", "-", "--ignore-not-found", stdin=mesh.apply)
        for command in mesh.mend:
            kubectl(cluster, *shlex.split(command))


def run_suite(mesh: BrokenMesh, cluster: EmbeddedCluster) -> dict[str, Any]:
    """Run the suite as a user would."""
    with tempfile.TemporaryDirectory(prefix="broken-") as folder:
        report = Path(folder, "report.yaml")
        command = [sys.executable, "-m", "pytest", "--istio-egress", "-n", "2", "-q", "-p", "no:cacheprovider"]
        command += ["--istio-egress-report", str(report), *mesh.options, *mesh.tests]
        environment = os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}
        done = subprocess.run(command, cwd=folder, env=environment, stdout=sys.stderr, check=False)
        if not report.exists():
            raise SystemExit(f"{mesh.name}: pytest wrote no report (exit {done.returncode})")
        results = list(read_report(report).results)
    by_sentence: dict[str, list[str]] = {}
    for result in results:
        if result.result in (FAILED, ERROR):
            by_sentence.setdefault(result.cause, []).append(result.id.removeprefix("conformance/"))
    return {"counts": dict(Counter(result.result for result in results)), "sentences": by_sentence}


def false_sentences(mesh: BrokenMesh, result: Mapping[str, Any]) -> list[str]:
    """Return the sentences of a result that are not true of the mesh."""
    return [sentence for sentence in result["sentences"] if not mesh.is_true(sentence)]


def page(meshes: Mapping[str, BrokenMesh], results: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the page: a row for each mesh, then what broke it, and each sentence with its number of parameters."""
    shown = [(meshes[name], results[name]) for name in meshes if name in results]
    missing = [name for name in meshes if name not in results]
    lines = [
        "# Meshes that are broken from outside",
        "",
        "Made by `python demonstrations/broken_meshes/broken_meshes.py` on an embedded cluster: the suite runs",
        "unchanged on meshes with resources that no test knows (meshes.yaml beside it). A sentence is false where",
        "it is not true of that mesh; one that claims nothing (no known cause fits, no control passed) is counted",
        "apart.",
        "",
        *([f"{len(shown)} of {len(meshes)} meshes were run; not run: {', '.join(missing)}.", ""] if missing else []),
        "| mesh | passed | failed | error | explained | no cause stated | false sentences |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for mesh, result in shown:
        counts = [result["counts"].get(name, 0) for name in (PASSED, FAILED, ERROR)]
        numbers = {sentence: len(parameters) for sentence, parameters in result["sentences"].items()}
        false = sum(numbers[sentence] for sentence in false_sentences(mesh, result))
        nothing = sum(
            number for sentence, number in numbers.items() if any(each in sentence for each in CLAIMS_NOTHING)
        )
        explained = sum(numbers.values()) - false - nothing
        cells = (mesh.name, *counts, explained, nothing, false)
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    for mesh, result in shown:
        lines += ["", f"## {mesh.name}", "", *broken_by(mesh), ""]
        for sentence, parameters in sorted(result["sentences"].items(), key=lambda item: -len(item[1])):
            mark = "" if mesh.is_true(sentence) else " **(false)**"
            lines.append(f"- {len(parameters)}: {sentence}{mark}".replace("*.", "\\*."))
    return "\n".join(lines) + "\n"


def broken_by(mesh: BrokenMesh) -> list[str]:
    """Return what breaks a mesh, as Markdown."""
    if mesh.apply:
        return ["```yaml", mesh.apply.strip(), "```"]
    return ["```sh", *(f"kubectl {command}" for command in mesh.kubectl), "```"]


def main() -> int:
    """Run the suite on the named meshes, or on all, and write the page."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--only-write", action="store_true", help="write the page from sentences.yaml")
    arguments = parser.parse_args()
    meshes = load()
    check_names(parser, arguments.names, meshes)
    results = yaml.safe_load(SENTENCES.read_text()) if SENTENCES.exists() else {}
    if not arguments.only_write:
        cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
        try:
            for name in arguments.names or meshes:
                results[name] = run_on(meshes[name], cluster)
                SENTENCES.write_text(yaml.safe_dump(results, allow_unicode=True, width=120))
        finally:
            down(CLUSTER)
    PAGE.write_text(page(meshes, results), encoding="utf-8")
    return int(any(false_sentences(meshes[name], result) for name, result in results.items()))


if __name__ == "__main__":
    sys.exit(main())
