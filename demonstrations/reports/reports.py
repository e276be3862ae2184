"""Runs the suite with all its reports, and shows them in docs/reports.md.

    python demonstrations/reports/reports.py -n 2

Two runs on an embedded cluster: the whole suite, and a few tests without their manifests, so that the page can show
failures. Chromium draws the pages; all arguments are pytest's. `--from FOLDER` shows the reports of an earlier call.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reports_page import show
from screenshot import CHROMIUM

from demonstrations.command_line import parser_of

WITHOUT_MANIFESTS = Path(__file__).parents[1] / "noticed"
"""The folder of the plugin `without_manifests`."""
BROKEN = ("conformance/egress_gateway/test_two_hops.py", "conformance/outbound_policy/test_registry_only.py")


def make(folder: Path, arguments: Sequence[str]) -> None:
    """Run the suite twice in a folder; its output goes to files there."""
    for name, more in (
        ("report", ["--istio-egress-allow-mesh-wide"]),
        ("broken", ["-p", "without_manifests", *BROKEN]),
    ):
        environment = os.environ | {
            "GITHUB_STEP_SUMMARY": str(folder / f"{name}.md"),
            "PYTHONPATH": str(WITHOUT_MANIFESTS),
        }
        command = [*command_of(name), "--istio-egress-target", "embedded", "-p", "no:cacheprovider", *more, *arguments]
        with (folder / f"{name}.log").open("w", encoding="utf-8") as log:
            subprocess.run(command, cwd=folder, env=environment, stdout=log, stderr=log, check=False)


def command_of(name: str) -> list[str]:
    """Return the command line that writes all reports."""
    return [
        "pytest", "--istio-egress",
        "--istio-egress-report", f"{name}.yaml", "--istio-egress-html", f"{name}.html",
        "--alluredir", f"{name}-allure", "--junitxml", f"{name}.xml",
    ]  # fmt: skip


def main() -> None:
    """Write the reports, unless there are some already, and show them."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="show the reports in this folder")
    chosen, arguments = parser.parse_known_args()
    if shutil.which(CHROMIUM[0]) is None:
        sys.exit("chromium is not installed: apt-get install chromium")
    if chosen.folder:
        show(chosen.folder, command_of("report"))
        return
    folder = Path(tempfile.mkdtemp(prefix="reports-"))
    make(folder, arguments)
    show(folder, command_of("report"))


if __name__ == "__main__":
    main()
