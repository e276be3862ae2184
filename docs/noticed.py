"""Takes every case's rules away and lists which cases notice: python docs/noticed.py > docs/noticed.md

The suite is run with all Istio resources and network policies left out of its manifests (workloads and Services
stay), on an embedded mesh that allows any traffic out. What still holds then does not depend on its own rules: that
is right for a control, and for a case about traffic that no rule concerns; for any other case it is a defect.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CLUSTER = "noticed"
RULES = ("istio.io", "gateway.networking.k8s.io", "networking.k8s.io")
"""Endings of the API groups whose resources are rules for traffic."""
WITNESS = "Telemetry"
"""Switches the access log on: without it nothing could be seen at all."""


def pytest_configure() -> None:
    """Loaded with `-p noticed`: leave the rules out wherever the judge reads manifests."""
    from pytest_istio_egress import judge

    everything = judge.load

    def without_rules(files: Iterable[Path]) -> list[dict[str, Any]]:
        return [document for document in everything(files) if not is_rule(document)]

    judge.load = without_rules


def is_rule(document: dict[str, Any]) -> bool:
    """Whether a manifest rules traffic."""
    group = document["apiVersion"].partition("/")[0]
    return group.endswith(RULES) and document["kind"] != WITNESS


def run_suite(arguments: list[str]) -> dict[str, str]:
    """Run the suite without rules; return each test's outcome."""
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "junit.xml"
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "--istio-egress", "-p", "noticed", "-q", "--tb=no",
                "--istio-egress-timeout-scale", "0.5", f"--junitxml={results}", *arguments,
            ],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
            stdout=sys.stderr,
            check=False,
        )  # fmt: skip
        return dict(outcomes(results))


def outcomes(results: Path) -> Iterable[tuple[str, str]]:
    """Read JUnit XML, our own."""
    for case in ElementTree.parse(results).iter("testcase"):  # noqa: S314  # pytest has just written it
        tags = [child.tag for child in case if child.tag in ("failure", "error", "skipped")]
        module = str(case.get("classname")).removeprefix("conformance.").replace(".test_", "/")
        yield f"{module}: {case.get('name')}", tags[0] if tags else "passed"


def table(found: dict[str, str]) -> str:
    """Return the page."""
    noticed = sorted(name for name, outcome in found.items() if outcome in ("failure", "error"))
    unmoved = sorted(name for name, outcome in found.items() if outcome == "passed")
    skipped = sum(outcome == "skipped" for outcome in found.values())
    lines = [
        "# Which cases notice when their rules are taken away",
        "",
        f"Of {len(noticed) + len(unmoved)} expectations, {len(noticed)} noticed, {len(unmoved)} did not; "
        f"{skipped} could not be asked",
        "of a mesh in mode ALLOW_ANY. Made by `python docs/noticed.py`, which says how.",
        "",
        "## Not noticed",
        "",
        *(f"- {name}" for name in unmoved),
        "",
        "## Noticed",
        "",
        *(f"- {name}" for name in noticed),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Start the mesh, run the suite without rules, print the page."""
    from pytest_istio_egress.embedded import ClusterSpec, down, up

    cluster = up(ClusterSpec(name=CLUSTER, mesh_mode="ALLOW_ANY"), tied_to_caller=True)
    try:
        found = run_suite(["--istio-egress-kubeconfig", str(cluster.kubeconfig), *sys.argv[1:]])
    finally:
        down(CLUSTER)
    sys.stdout.write(table(found))


if __name__ == "__main__":
    main()
