"""Runs the whole suite on releases of Istio, and writes docs/releases.md.

    python demonstrations/releases/releases.py [VERSION ...]

Each VERSION is anything that `istio-egress cluster up --istio` takes: a release (1.30), or a tag (1.28.10) that your Go
module proxy serves. One cluster after the other is started, tested and stopped. The results are saved in
pytest_istio_egress/suite/release_runs.yaml, from which the page, docs/coverage.md and the README's table are made.
"""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import yaml
from releases_page import page

from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, EmbeddedError, down, up
from pytest_istio_egress.embedded.versions import versions
from pytest_istio_egress.model.result_names import PASSED, RESULTS, SKIPPED
from pytest_istio_egress.report.reader import read_report
from pytest_istio_egress.suite.release_runs import FILE, ReleaseRun, release_runs

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "releases.md"
EPILOG = "all other arguments are pytest's, such as -n 4; an unknown VERSION is reported by the cluster that is started"
HEAD = "# The results of the whole suite on releases of Istio; written by demonstrations/releases/releases.py.\n"


def main() -> int:
    """Run the suite on the named releases, or on all that are known; 1 if a parameter failed or had an error."""
    parser = parser_of(__file__, __doc__, EPILOG)
    parser.add_argument("versions", nargs="*", metavar="VERSION", help="default: the releases that are known")
    parser.add_argument("--only-write", action="store_true", help="write the page from the saved results")
    arguments, more = parser.parse_known_args()
    ran = []
    for version in [] if arguments.only_write else arguments.versions or sorted(versions().releases):
        ran.append(result := start_and_test(version, more))
        save(result)
    PAGE.write_text(page(release_runs()), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\nwrite docs/coverage.md anew by: istio-egress coverage\n")
    return int(not all(result.passed for result in ran))


def start_and_test(version: str, more: list[str]) -> ReleaseRun:
    """Start a cluster with a release, run the whole suite, stop the cluster; `more` is for pytest."""
    sys.stdout.write(f"== Istio {version}\n")
    sys.stdout.flush()
    name = f"release-{version.replace('.', '-').lower()[:24].rstrip('-')}"
    try:
        cluster = up(ClusterSpec(name=name, istio=version), tied_to_caller=True)
    except EmbeddedError as error:
        raise SystemExit(f"Istio {version}: {error}") from None
    try:
        with tempfile.TemporaryDirectory(prefix="release-") as folder:
            return run_suite(version, cluster, Path(folder) / "report.yaml", more)
    finally:
        down(name)


def run_suite(version: str, cluster: EmbeddedCluster, report: Path, more: list[str]) -> ReleaseRun:
    """Run the whole suite on a cluster as on anybody's, with nothing but a kubeconfig."""
    options = ["--istio-egress", "--istio-egress-allow-mesh-wide", f"--istio-egress-report={report}", *more]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, str(ROOT / "conformance")]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}, check=False)
    seconds = round(time.monotonic() - began)
    if not report.exists():
        raise SystemExit(f"Istio {version}: pytest wrote no report (exit {done.returncode}); see its output above")
    run = read_report(report)
    return ReleaseRun(
        asked=version,
        istio=cluster.istio,
        envoy=cluster.envoy,
        day=datetime.datetime.now(datetime.UTC).date().isoformat(),
        seconds=seconds,
        results={name: run.count(name) for name in reversed(RESULTS) if run.count(name)},
        skipped=dict(sorted(Counter(result.cause for result in run.results if result.result == SKIPPED).items())),
        unsuccessful=tuple(result.id for result in run.results if result.result not in (PASSED, SKIPPED)),
        notes=cluster.notes,
    )


def save(result: ReleaseRun) -> None:
    """Put one result into the file, in the place of an earlier one of the same version."""
    runs = {run.asked: run for run in release_runs()} | {result.asked: result}
    entries = {asked: {key: value for key, value in asdict(run).items() if key != "asked" and value not in ((), {})}
               for asked, run in runs.items()}  # fmt: skip
    plain = {asked: {key: list(value) if isinstance(value, tuple) else value for key, value in entry.items()}
             for asked, entry in entries.items()}  # fmt: skip
    FILE.write_text(HEAD + yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=120), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
