"""Tries the settings of Istio that touch egress, one entry after the other, and writes docs/mesh_settings.md.

    python demonstrations/mesh_settings/mesh_settings.py [NAME ...]

One embedded cluster gets the settings of each entry of settings.yaml in turn: in ConfigMap `istio`, or in istiod's
environment; istiod and the egress gateway are restarted, and the tests run. Without NAME only entries without results
are tried, so the command can be run again after an interruption. The results are saved in results.yaml, the page shows
them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from settings_page import page
from tried_settings import Installation, Tried, load, others

from demonstrations.command_line import check_names, parser_of
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up
from pytest_istio_egress.model.result_names import PASSED, SKIPPED
from pytest_istio_egress.report.reader import read_report

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "mesh_settings.md"
RESULTS = HERE / "results.yaml"
CLUSTER = "mesh-settings"
WHOLE_SUITE = "conformance"
TESTS = (
    "conformance/outbound_policy/test_registry_only.py",
    "conformance/virtual_service/test_http_rules.py",
    "conformance/egress_gateway/test_two_hops.py",
)
"""Requests that are blocked, that follow rules and that go through the gateway: these notice what changes them all."""


def main() -> None:
    """Try the named entries, or those without results, and write the page."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--only-write", action="store_true", help="write the page from results.yaml")
    arguments = parser.parse_args()
    entries = load()
    check_names(parser, arguments.names, entries)
    if not arguments.only_write:
        results = read_results()
        due = [name for name, tried in entries.items() if is_due(tried, results)]
        try_all([entries[name] for name in arguments.names or due])
    PAGE.write_text(page(entries, read_results(), others()), encoding="utf-8")


def read_results() -> dict[str, Any]:
    """Return the saved results by the names of their entries."""
    return (yaml.safe_load(RESULTS.read_text(encoding="utf-8")) or {}) if RESULTS.exists() else {}


def is_due(tried: Tried, results: dict[str, Any]) -> bool:
    """Whether an entry has no results, or those of other settings."""
    return bool(results.get(tried.name, {}).get("settings") != tried.settings)


def try_all(entries: list[Tried]) -> None:
    """Start a cluster, try each entry, save its results, stop the cluster."""
    if not entries:
        return
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        installation = Installation(cluster)
        for tried in entries:
            sys.stdout.write(f"== {tried.name}: {tried.changes}\n")
            sys.stdout.flush()
            try:
                installation.change(tried)
                with tempfile.TemporaryDirectory(prefix="mesh-settings-") as folder:
                    result = run_tests(tried, cluster, Path(folder))
            except subprocess.CalledProcessError as error:
                result = {"settings": tried.settings, "stopped": " ".join(["kubectl", *error.cmd[1:3], "failed"])}
            installation.clean(tried)
            results = {**read_results(), tried.name: result}
            RESULTS.write_text(yaml.safe_dump(results, allow_unicode=True, width=120), encoding="utf-8")
    finally:
        down(cluster.name)


def run_tests(tried: Tried, cluster: EmbeddedCluster, folder: Path) -> dict[str, Any]:
    """Run the tests with nothing but a kubeconfig; return what the page shows of them."""
    report = folder / "report.yaml"
    tests = [WHOLE_SUITE] if WHOLE_SUITE in tried.tests else [*TESTS, *tried.tests]
    options = ["--istio-egress", "--istio-egress-allow-mesh-wide", "--istio-egress-report", str(report), *tried.options]
    # Where everything fails, twenty failures tell it. A busy machine gets more time.
    options += ["-q", "--maxfail=20", "--istio-egress-timeout-scale=3", "-p", "no:cacheprovider"]
    options += ["-n", "2"] if WHOLE_SUITE in tests else []
    command = [sys.executable, "-m", "pytest", *options, *tests]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig)}, check=False)
    seconds = round(time.monotonic() - began)
    if not report.exists():
        return {"settings": tried.settings, "stopped": f"pytest ended with exit code {done.returncode}"}
    run = read_report(report)
    wrong = {each.id: each.cause for each in run.results if each.result not in (PASSED, SKIPPED)}
    return {
        "settings": tried.settings,
        "results": dict(Counter(each.result for each in run.results)),
        "skipped": dict(Counter(each.cause for each in run.results if each.result == SKIPPED)),
        "wrong": wrong,
        "seconds": seconds,
        "stopped": run.info.stopped,
        "unsteady": run.unsteady,
    }


if __name__ == "__main__":
    main()
