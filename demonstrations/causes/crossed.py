"""Breaks the tests of other causes in the way of each entry of broken.yaml: no sentence may be false there either.

    python demonstrations/causes/crossed.py > docs/crossed_causes.md

The patch of an entry is applied to the manifests of other entries' tests: to the resource of the same kind where they
have none of its name, with their host in place of the entry's. Each entry is tried under one test of each area, or of N
areas. Many of these tests still pass, as their outcome does not depend on what is broken. What fails may be explained
by the entry's own cause, by a sentence that the entry lists in `also` or `elsewhere` because it is true of that mesh,
or not at all. Every other sentence is printed, and the exit status is 1.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from broken import Broken, Judgement, load
from broken_cases import BrokenRun, run_broken

from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded import ClusterSpec, down, up
from pytest_istio_egress.model.case import Case
from pytest_istio_egress.model.result_names import FAILED
from pytest_istio_egress.suite.discovery import shipped_cases, suite_folder

CLUSTER = "crossed"
NEEDS_ITS_HOST = frozenset({"service_entry/test_tcp_port.py::test_connection_to_tcp_port_ends_at_entry_host"})
"""Tests that fail with another host, which a copy has: the external server's certificate is for the test's own."""
Document = dict[str, Any]


@dataclass(frozen=True)
class TestManifests:
    """A test with the documents of its manifests."""

    id: str
    """Its id below conformance/, without a parameter."""
    documents: Sequence[Document]

    @property
    def area(self) -> str:
        """The folder of its module."""
        return self.id.partition("/")[0]

    @property
    def host(self) -> str:
        """The host that its first ServiceEntry lists, empty where there is none."""
        entries = (each["spec"].get("hosts", ()) for each in self.documents if each["kind"] == "ServiceEntry")
        return next((str(host) for hosts in entries for host in hosts), "")


def crossed(entries: Sequence[Broken], each: int | None = None) -> list[Broken]:
    """Return the entries again, each under tests of up to `each` other areas; one that cannot be applied is left out.

    Entries that end in an error, or that do something to the running mesh, claim nothing of a test. Listeners of the
    mesh's own gateway depend on the tests beside one that uses it.
    """
    cases = {shipped.id: shipped.case for shipped in shipped_cases(suite_folder()) if shipped.case}
    tests = {test.id: test for test in (_test(entry, cases) for entry in entries)}
    shared = {test for test in tests if "egress-gateway" in _case(test, cases).requires}
    beside = [test for name, test in tests.items() if name not in shared | NEEDS_ITS_HOST]
    found: list[Broken] = []
    for entry in entries:
        if entry.result == FAILED and not entry.live:
            found += list(_elsewhere(entry, _test(entry, cases), beside))[:each]
    return [replace(entry, number=number) for number, entry in enumerate(found, 1)]


def _elsewhere(entry: Broken, own: TestManifests, tests: Sequence[TestManifests]) -> Iterator[Broken]:
    """Yield an entry under the first test of each area that has what it patches, the entry's own area last.

    The shift spreads the entries over the tests of an area.
    """
    areas = sorted({test.area for test in tests}, key=lambda area: (area == own.area, area))
    for area in areas:
        there = [test for test in tests if test.area == area and test.id != own.id]
        shift = entry.number % len(there) if there else 0
        for test in [*there[shift:], *there[:shift]]:
            if patch := patch_for(entry, own, test):
                yield replace(entry, parameter=test.id, patch=patch)
                break


def patch_for(entry: Broken, own: TestManifests, test: TestManifests) -> str:
    """Return an entry's patch for another test, empty where that has no resource of a kind that is patched."""
    text = entry.patch.replace(own.host, test.host) if own.host and test.host else entry.patch
    patches = [patch for patch in yaml.safe_load_all(text) if patch]
    for patch in patches:
        names = [each["metadata"]["name"] for each in test.documents if each["kind"] == patch["kind"]]
        if "apiVersion" in patch or patch["metadata"]["name"] in names:
            continue
        if not names:
            return ""
        patch["metadata"]["name"] = names[0]
    return yaml.safe_dump_all(patches)


def _test(entry: Broken, cases: Mapping[str, Case]) -> TestManifests:
    name = entry.parameter.partition("[")[0]
    manifests = _case(name, cases).manifests
    return TestManifests(name, [each for file in manifests for each in yaml.safe_load_all(file.read_text()) if each])


def _case(name: str, cases: Mapping[str, Case]) -> Case:
    return cases[f"{suite_folder().name}/{name}"]


def run_crossed(entries: Sequence[Broken], kubeconfig: Path, arguments: Sequence[str] = ()) -> BrokenRun:
    """Run crossed entries on a cluster."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "crossed.yaml")
        fields = [{name: value for name, value in asdict(entry).items() if name != "number"} for entry in entries]
        file.write_text(yaml.safe_dump(fields), encoding="utf-8")
        return run_broken(entries, kubeconfig, arguments, file=file)


def page(entries: Sequence[Broken], run: BrokenRun) -> Iterator[str]:
    """Yield the lines of the page: a row for each entry of broken.yaml."""
    yield from (
        "# Each broken mesh under the tests of other causes",
        "",
        "Made by `python demonstrations/causes/crossed.py` from `broken.yaml` beside it. A row is one way to break the",
        "mesh, applied to the manifests of one test of each area: to the resource of the same kind, and with their",
        "host. Most parameters still pass, as their outcome does not depend on what is broken. Of those that fail, the",
        "sentence states the same cause, or another fact that is true of that mesh (listed in `broken.yaml`), or no",
        "cause. The exit status is 1 where a sentence is false.",
        "",
        "| broken by | tests | failed parameters | same cause | other true fact | no cause | false |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    )
    total, tests = Counter[Judgement](), 0
    for cause in dict.fromkeys(entry.cause for entry in entries):
        of_cause = [entry for entry in entries if entry.cause == cause]
        counts = Counter(entry.judged(each) for entry in of_cause for each in run.others.get(entry.number, {}).values())
        total, tests = total + counts, tests + len(of_cause)
        yield _row(cause, len(of_cause), counts)
    yield _row("all", tests, total)


def _row(name: str, tests: int, counts: Counter[Judgement]) -> str:
    cells = (name, tests, counts.total(), *(counts[judgement] for judgement in Judgement))
    return f"| {' | '.join(map(str, cells))} |"


def main() -> int:
    """Start the mesh, break it, print the page; further arguments are pytest's."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--each", type=int, metavar="N", help="how many areas each entry is tried in (default: all)")
    parser.add_argument("--kubeconfig", type=Path, help="a running cluster (default: one of its own)")
    chosen, arguments = parser.parse_known_args()
    entries = crossed(load(), chosen.each)
    if chosen.kubeconfig:
        run = run_crossed(entries, chosen.kubeconfig, arguments)
    else:
        cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
        try:
            run = run_crossed(entries, cluster.kubeconfig, arguments)
        finally:
            down(CLUSTER)
    sys.stderr.write(run.output)
    false = [(entry, sentences) for entry in entries if (sentences := run.false_sentences(entry))]
    for entry, sentences in false:
        for parameter, sentence in sentences.items():
            sys.stderr.write(f"\n{entry.cause}\n  {entry.parameter}: {parameter}\n  {sentence}\n")
    sys.stdout.write("\n".join(page(entries, run)) + "\n")
    return int(bool(false) or not run.others)


if __name__ == "__main__":
    sys.exit(main())
