"""Runs the suite with all its reports at once and shows them in docs/reports.md.

    python demonstrations/reports/reports.py -n 2

Two runs on an embedded cluster: the whole suite, and a few cases whose rules are taken away, so that there is something
to see of what does not hold. Chromium draws the pages; all arguments are pytest's. `--from FOLDER` shows what an
earlier call left in a folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from reports_page import show
from screenshot import CHROMIUM

RULES_TAKEN_AWAY = Path(__file__).parents[1] / "noticed"
"""The folder of the plugin `without_manifests`."""
BROKEN = ("conformance/egress_gateway/test_two_hops.py", "conformance/registry_only/test_unlisted_hosts.py")


def make(folder: Path, arguments: Sequence[str]) -> None:
    """Run the suite twice in a folder; what it says goes to a file there."""
    for name, more in (("report", ["--istio-egress-allow-mesh-wide"]), ("broken", ["-p", "without_manifests", *BROKEN])):
        environment = os.environ | {
            "GITHUB_STEP_SUMMARY": str(folder / f"{name}.md"),
            "PYTHONPATH": str(RULES_TAKEN_AWAY),
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
    """Make the reports, unless they are there, and show them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--from", dest="folder", type=Path, metavar="FOLDER", help="show what is in there already")
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
