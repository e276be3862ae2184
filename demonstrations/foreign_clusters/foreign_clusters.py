"""Runs the suite on clusters that were made differently, and writes docs/foreign_clusters.md.

    python demonstrations/foreign_clusters/foreign_clusters.py [NAME ...]

clusters.yaml says how each is made. One after the other is started, changed by kubectl and istioctl as its owner might
have, handed over as a kubeconfig and asked; figures.yaml keeps what came out, the page shows it. `--cases` chooses what
is asked of each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import yaml
from kubeconfigs import by_plugin_and_proxy, by_token
from making import Foreign, kubectl, make

from pytest_istio_egress.embedded import ClusterSpec, EmbeddedCluster, down, up

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "foreign_clusters.md"
FIGURES = HERE / "figures.yaml"
CASES = (
    "conformance/registry_only",
    "conformance/sidecar_injection",
    "conformance/service_entry/test_http_host.py",
    "conformance/service_entry/test_https_dns.py",
    "conformance/service_entry/test_export_to_others.py",
    "conformance/sidecar_scope/test_ports_and_namespaces.py",
    "conformance/dns",
    "conformance/egress_gateway/test_shared_gateway.py",
    "conformance/egress_gateway/test_two_hops.py",
    "conformance/egress_gateway/test_passthrough.py",
    "conformance/egress_gateway/test_workload.py",
    "conformance/egress_gateway/test_authorization.py",
    "conformance/tls_origination/test_simple.py",
)
"""A part of every area that a mesh's make may change; all areas: `--cases conformance`."""


def main() -> None:
    """Run the clusters that are named, all by default, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--cases", nargs="+", default=CASES, help="what is asked (default: a part of most areas)")
    parser.add_argument("--only-write", action="store_true", help="write the page from the figures that are there")
    arguments = parser.parse_args()
    known = {entry["name"]: entry for entry in yaml.safe_load((HERE / "clusters.yaml").read_text())}
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        parser.error(f"no such cluster: {', '.join(unknown)}; there are {', '.join(known)}")
    figures = yaml.safe_load(FIGURES.read_text()) if FIGURES.exists() else {}
    for name in [] if arguments.only_write else arguments.names or known:
        figures[name] = ask(known[name], arguments.cases)
        FIGURES.write_text(yaml.safe_dump(figures, allow_unicode=True, width=120))
    PAGE.write_text(page(known, figures))


def ask(foreign: Foreign, cases: list[str]) -> dict[str, Any]:
    """Make a cluster, ask it, end it; returns the figures of its line."""
    sys.stdout.write(f"== {foreign['name']}: {foreign['differs']}\n")
    sys.stdout.flush()
    cluster = up(ClusterSpec(name=f"foreign-{foreign['name']}"[:32]), tied_to_caller=True)
    try:
        make(foreign, cluster)
        with tempfile.TemporaryDirectory(prefix="foreign-") as folder:
            return suite(foreign, cluster, cases, Path(folder))
    finally:
        down(cluster.name)


def suite(foreign: Foreign, cluster: EmbeddedCluster, cases: list[str], folder: Path) -> dict[str, Any]:
    """Run the suite from an empty folder, as a user would; returns what its report says."""
    kubeconfig, report = cluster.kubeconfig, folder / "report.yaml"
    match foreign.get("kubeconfig"):
        case "exec-plugin-and-proxy":
            kubeconfig = by_plugin_and_proxy(kubeconfig, folder)
        case "service-account":
            token = kubectl(cluster, "create", "token", "-n", "istio-egress", "istio-egress", "--duration=2h")
            kubeconfig = by_token(kubeconfig, folder, token)
    options = [word.format(istio=cluster.istio) for word in foreign.get("options", ())]
    command = [sys.executable, "-m", "pytest", "--istio-egress", "-n", "2", "-p", "no:cacheprovider", *options]
    command += ["--istio-egress-report", str(report), "--istio-egress-timeout-scale", "5", *cases]
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=os.environ | {"KUBECONFIG": str(kubeconfig)}, check=False)
    seconds = round(time.monotonic() - began)
    if not report.exists():
        raise SystemExit(f"{foreign['name']}: the suite could not be run (exit {done.returncode})")
    said = yaml.safe_load(report.read_text())
    asked = [parameter for test in said["tests"] for parameter in test["parameters"]]
    outcomes = Counter(case["result"] for case in asked)
    reasons = Counter(case["reason"] for case in asked if "reason" in case)
    return {
        "outcomes": dict(outcomes),
        "skipped": dict(reasons),
        "not": [case["id"] for case in asked if case["result"] not in ("passed", "skipped")],
        "all": cases == ["conformance"],
        "seconds": seconds,
        "exit": done.returncode,
        "options": options,
        "facts": {name: known["value"] for name, known in said["mesh"]["facts"].items()},
    }


def page(known: dict[str, Foreign], figures: dict[str, Any]) -> str:
    """Return the page: a line for each cluster, then why cases were skipped or did not hold."""
    whole = [name for name in known if figures.get(name, {}).get("all")]
    lines = [
        "# Clusters made by somebody else",
        "",
        "Made by `python demonstrations/foreign_clusters/foreign_clusters.py`, on one-node clusters that are set up as",
        "[clusters.yaml](../demonstrations/foreign_clusters/clusters.yaml) says and handed over as a kubeconfig. Each",
        f"is asked a part of most areas{', and all of the suite: ' * bool(whole)}{', '.join(whole)}.",
        "",
        "| cluster | what differs | passed | failed | error | skipped | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    shown = [(known[name], figures[name]) for name in known if name in figures]
    for foreign, seen in shown:
        counts = [seen["outcomes"].get(word, 0) for word in ("passed", "failed", "error", "skipped")]
        differs = " ".join(foreign["differs"].split())
        lines.append(f"| {foreign['name']} | {differs} | {' | '.join(map(str, counts))} | {seen['seconds']} |")
    for foreign, seen in shown:
        lines += ["", f"## {foreign['name']}", ""]
        lines += [f"Told: `{' '.join(seen['options'])}`", ""] * bool(seen["options"])
        facts = ("revisions", "outbound-mode", "egress-gateways", "access-log", "mutual-tls", "dns-capture")
        lines += [f"- {fact}: {seen['facts'].get(fact) or 'not found out'}" for fact in facts]
        lines += [f"- {number} skipped: {reason}" for reason, number in sorted(seen["skipped"].items())]
        lines += [f"- not: `{case}`" for case in seen["not"]]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
