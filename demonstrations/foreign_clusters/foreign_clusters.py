"""Runs the suite on clusters with different installations of Istio, and writes docs/foreign_clusters.md.

    python demonstrations/foreign_clusters/foreign_clusters.py [NAME ...]

clusters.yaml describes each cluster. One after the other is started, changed with kubectl and istioctl as its owner
might have done, and tested with nothing but a kubeconfig. The results are saved in figures.yaml, the page shows them.
`--tests` selects the tests.
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
from kubeconfigs import by_expiring_certificates, by_plugin_and_proxy
from making import Foreign, make

from demonstrations.command_line import check_names, parser_of
from demonstrations.service_account import with_token
from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up
from pytest_istio_egress.model.result_names import ERROR, FAILED, PASSED, SKIPPED
from pytest_istio_egress.report.reader import read_report

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "foreign_clusters.md"
FIGURES = HERE / "figures.yaml"
TESTS = (
    "conformance/outbound_policy",
    "conformance/sidecar_injection",
    "conformance/service_entry/test_http_host.py",
    "conformance/service_entry/test_https_dns.py",
    "conformance/service_entry/test_export_to.py",
    "conformance/service_entry/test_resolution_none.py",
    "conformance/sidecar_scope/test_ports_and_namespaces.py",
    "conformance/dns",
    "conformance/kubernetes_services/test_endpoints.py",
    "conformance/kubernetes_services/test_external_name.py",
    "conformance/virtual_service/test_http_rules.py",
    "conformance/virtual_service/test_http_1_0.py",
    "conformance/egress_gateway/test_shared_gateway.py",
    "conformance/egress_gateway/test_two_hops.py",
    "conformance/egress_gateway/test_tls_passthrough.py",
    "conformance/egress_gateway/test_istio_mutual_tcp.py",
    "conformance/egress_gateway/test_gateway_api.py",
    "conformance/egress_gateway/test_workload.py",
    "conformance/egress_gateway/test_authorization.py",
    "conformance/tls_origination/test_simple.py",
)
"""Tests of the areas that depend on how a mesh was installed; all tests: `--tests conformance`."""

COLUMNS = (PASSED, FAILED, ERROR, SKIPPED)
SHOWN_FACTS = ("revisions", "outbound-mode", "egress-gateways", "access-log", "mutual-tls", "dns-capture")

SAID = ("istio-egress: refused: ", "istio-egress: APIService ", "istio-egress: cannot delete ")
"""How lines begin in which a run says what the cluster refuses, and what it could not delete."""


def main() -> None:
    """Test the named clusters, or all, and write the page."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--tests", nargs="+", default=TESTS, help="paths of tests (default: a part of most areas)")
    parser.add_argument("--only-write", action="store_true", help="write the page from figures.yaml")
    arguments = parser.parse_args()
    clusters = {entry["name"]: entry for entry in yaml.safe_load((HERE / "clusters.yaml").read_text())}
    check_names(parser, arguments.names, clusters)
    figures = yaml.safe_load(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in [] if arguments.only_write else arguments.names or clusters:
        figures[name] = start_and_test(clusters[name], arguments.tests)
        FIGURES.write_text(yaml.safe_dump(figures, allow_unicode=True, width=120))
    PAGE.write_text(page(clusters, figures))


def start_and_test(foreign: Foreign, tests: list[str]) -> dict[str, Any]:
    """Start a cluster, change it, run the tests, remove it; return the figures for the page."""
    sys.stdout.write(f"== {foreign['name']}: {foreign['differs']}\n")
    sys.stdout.flush()
    spec = ClusterSpec(name=f"foreign-{foreign['name']}"[:32], ip_family=foreign.get("ip_family", "ipv4"))
    cluster = up(spec, tied_to_caller=True)
    try:
        make(foreign, cluster)
        with tempfile.TemporaryDirectory(prefix="foreign-") as folder:
            return run_tests(foreign, cluster, tests, Path(folder))
    finally:
        down(cluster.name)


def run_tests(foreign: Foreign, cluster: EmbeddedCluster, tests: list[str], folder: Path) -> dict[str, Any]:
    """Run the tests from an empty folder, as a user would; return figures from the report."""
    kubeconfig, report = cluster.kubeconfig, folder / "report.yaml"
    match foreign.get("kubeconfig"):
        case "exec-plugin-and-proxy":
            kubeconfig = by_plugin_and_proxy(kubeconfig, folder)
        case "expiring-certificates":
            kubeconfig = by_expiring_certificates(kubeconfig, folder, cluster.kubeconfig.parent)
        case "service-account":
            kubeconfig = with_token(cluster, folder)
    options = [word.format(istio=cluster.istio) for word in foreign.get("options", ())]
    command = [sys.executable, "-m", "pytest", "--istio-egress", "-n", "2", "-p", "no:cacheprovider"]
    command += ["--istio-egress-report", str(report), "--istio-egress-timeout-scale", "5", *options, *tests]
    began = time.monotonic()
    code, said = follow(command, folder, os.environ | {"KUBECONFIG": str(kubeconfig)})
    seconds = round(time.monotonic() - began)
    if not report.exists():
        raise SystemExit(f"{foreign['name']}: pytest wrote no report (exit {code})")
    run = read_report(report)
    return {
        "results": dict(Counter(result.result for result in run.results)),
        "skipped": dict(Counter(result.cause for result in run.results if result.result == SKIPPED)),
        "failed": [result.id for result in run.results if result.result not in (PASSED, SKIPPED)],
        "all": tests == ["conformance"],
        "seconds": seconds,
        "stopped": run.info.stopped,
        "exit": code,
        "said": said,
        "options": options,
        "facts": {name: fact.value for name, fact in run.info.facts.items()},
    }


def follow(command: list[str], folder: Path, environment: dict[str, str]) -> tuple[int, list[str]]:
    """Run a command and show its output; return the exit code, and the lines that are for the page."""
    said: list[str] = []
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as run:
        assert run.stdout is not None
        for line in run.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            said += [line.strip()] * line.startswith(SAID)
    return run.returncode, said


def page(clusters: dict[str, Foreign], figures: dict[str, Any]) -> str:
    """Return the page: a row for each cluster, then its facts and why parameters were skipped or failed."""
    lines = [
        "# Clusters with different installations of Istio",
        "",
        "Made by `python demonstrations/foreign_clusters/foreign_clusters.py` on one-node clusters that are set up as",
        "described in [clusters.yaml](../demonstrations/foreign_clusters/clusters.yaml). pytest gets nothing but a",
        "kubeconfig and runs the whole suite, or a part of most areas (column *tests*).",
        "",
        f"| cluster | difference | tests | {' | '.join(COLUMNS)} | seconds |",
        f"| --- | --- | --- |{' ---: |' * len(COLUMNS)} ---: |",
    ]
    shown = [(clusters[name], figures[name]) for name in clusters if name in figures]
    for foreign, figure in shown:
        counts = [figure["results"].get(name, 0) for name in COLUMNS]
        differs = " ".join(foreign["differs"].split())
        cells = (foreign["name"], differs, "all" if figure.get("all") else "part", *counts, figure["seconds"])
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    for foreign, figure in shown:
        lines += ["", f"## {foreign['name']}", ""]
        lines += [f"Options: `{' '.join(figure['options'])}`", ""] * bool(figure["options"])
        lines += [f"- {fact}: {figure['facts'].get(fact) or 'not detected'}" for fact in SHOWN_FACTS]
        lines += [f"- exit code {figure['exit']}"] * bool(figure["exit"])
        lines += [f"- {why}" for why in (figure.get("stopped"), *figure.get("said", ())) if why]
        lines += [f"- {number} skipped: {reason}" for reason, number in sorted(figure["skipped"].items())]
        lines += [f"- failed: `{name}`" for name in figure["failed"]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
