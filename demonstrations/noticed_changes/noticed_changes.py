"""Runs every test with each of its manifests changed a little, and lists which parameters notice it.

    python demonstrations/noticed_changes/noticed_changes.py -n 2 > docs/noticed_changes.md

Arguments are pytest's. A change that no parameter notices is a defect of the tests, unless unnoticed.yaml says why it
cannot be seen. The exit status is 1 where there is a defect or an error; stderr names them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from changed_manifests import EVERY_FIELD, NOT_RUN, RESULTS
from changes_page import Seen, load_reasons, page, problems
from mutations import Mutation, changes_of_area

from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedError, down, up
from pytest_istio_egress.suite.discovery import ROOT

CONFORMANCE = Path(__file__).parents[2] / ROOT


def all_mutations(*, every_field: bool) -> list[Mutation]:
    """Return the changes of all areas that are run."""
    areas = [folder for folder in sorted(CONFORMANCE.iterdir()) if folder.is_dir() and folder.name not in NOT_RUN]
    return [change.mutation for folder in areas for change in changes_of_area(folder, every_field=every_field)]


def run_suite(name: str, arguments: Iterable[str], results: Path, *, every_field: bool) -> None:
    """Start a cluster, and run the tests with each change; results are appended to the file."""
    try:
        cluster = up(ClusterSpec(name=name), tied_to_caller=True)
    except EmbeddedError as error:
        raise SystemExit(f"noticed_changes: {error}") from error
    environment = {
        **os.environ,
        RESULTS: str(results.resolve()),
        "PYTHONPATH": os.pathsep.join((str(Path(__file__).parent), *sys.path)),
        **({EVERY_FIELD: "1"} if every_field else {}),
    }
    try:
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "--istio-egress", "-p", "changed_manifests", "-p", "no:cacheprovider",
                "-q", "--tb=no", "--no-summary", "--istio-egress-kubeconfig", str(cluster.kubeconfig), *arguments,
            ],
            env=environment,
            stdout=sys.stderr,
            check=False,
        )  # fmt: skip
    finally:
        down(name)


def read(results: Path) -> Mapping[str, list[Seen]]:
    """Return what each parameter did under each change, the later one of two runs; "" is the run without a change."""
    seen: dict[str, dict[str, Seen]] = {}
    for line in results.read_text().splitlines():
        fields = json.loads(line)
        change = fields.pop("change")
        seen.setdefault(change, {})[fields["parameter"]] = Seen(**fields)
    return {change: list(parameters.values()) for change, parameters in seen.items()}


def main() -> int:
    """Run the tests, print the page, name the defects."""
    parser = parser_of(__file__, __doc__, "All further arguments are pytest's: -n 2, or the paths of tests.")
    parser.add_argument("--name", default="changes", help="name of the embedded cluster (default: changes)")
    parser.add_argument(
        "--results", type=Path, metavar="FILE", help="keep the results in FILE; a run adds to those that it has"
    )
    parser.add_argument("--no-run", action="store_true", help="make the page from the FILE of --results alone")
    parser.add_argument("--every-field", action="store_true", help="change each field, not only the first of its kind")
    options, arguments = parser.parse_known_args()
    with tempfile.TemporaryDirectory() as folder:
        results = options.results or Path(folder, "results")
        results.touch()
        if not options.no_run:
            run_suite(options.name, arguments, results, every_field=options.every_field)
        seen = read(results)
    changes = all_mutations(every_field=options.every_field)
    reasons = load_reasons()
    sys.stdout.write(page(changes, seen, reasons))
    run = [change for change in changes if str(change) in seen]
    found = problems(run, seen, reasons)
    for problem in found:
        sys.stderr.write(f"{problem}\n")
    return 1 if found or not run else 0


if __name__ == "__main__":
    sys.exit(main())
