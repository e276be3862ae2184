"""Runs the suite before and after upgrades of one embedded cluster, and writes what changed to docs/upgrade.md."""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from pytest_istio_egress.embedded.state import State
from pytest_istio_egress.model.result_names import RESULTS
from pytest_istio_egress.report.comparison import KINDS, Change, compare_runs, differences_about
from pytest_istio_egress.report.comparison_text import counts
from pytest_istio_egress.report.document import Run
from pytest_istio_egress.report.markdown import cell
from pytest_istio_egress.report.reader import read_report

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PAGE = ROOT / "docs" / "upgrade.md"
NAME = "upgrade"
HEAD = """\
# Upgrades of one embedded cluster

Made by `python demonstrations/upgrade/upgrade.py` (`nox -s upgrade`). `istio-egress cluster upgrade` replaces the
proxy's image and Istio's settings while the cluster runs: istiod rolls, then the egress gateway, and the suite brings
new clients. The exit code is that of `istio-egress compare` with its default policy: 1 where anything is worse or
gone."""
TRIES = 2
EPILOG = "all other arguments are pytest's, such as -n 2"
SHOWN = 4  # changes of one kind that the page spells out; the rest is counted


AREAS_OF_ISTIOD = ("egress_gateway", "kubernetes_services", "service_entry", "sidecar_injection", "tls_origination")
"""Where those profiles could show: native sidecars, Services of one name, hosts that shadow, merged gateways."""


@dataclass(frozen=True)
class Step:
    """One state of the cluster: what it is called, and the options of `istio-egress cluster up` or `upgrade`.

    `manifests` is a file that is applied on top, None for none.
    """

    name: str
    options: tuple[str, ...] = ()
    manifests: str | None = None


@dataclass(frozen=True)
class Upgrade:
    """Steps that one cluster takes one after the other; after each the suite runs. `gate` is what must come out."""

    name: str
    says: str
    steps: tuple[Step, ...]
    gate: int = 0
    asked: tuple[str, ...] = ("conformance",)


UPGRADES = (
    Upgrade(
        "envoy",
        "The data plane's Envoy, the whole suite at each step.",
        tuple(Step(version, ("--envoy", version)) for version in ("1.36.4", "1.37.0", "1.38.3", "1.39.3", "1.40.0")),
    ),
    Upgrade(
        "compatibility",
        "Istio's `compatibilityVersion`: istiod behaves as that release did, at last as its own.",
        (
            *(Step(f"compatibility {release}", ("--compatibility", release)) for release in ("1.25", "1.28")),
            Step("its own"),
        ),
        asked=tuple(f"conformance/{area}" for area in AREAS_OF_ISTIOD),
    ),
    Upgrade(
        "broken",
        "Broken on purpose, so that the gate is seen to close: after the upgrade a leftover EnvoyFilter "
        "([leftover.yaml](../demonstrations/upgrade/leftover.yaml)) takes every route's timeout away.",
        (
            Step("1.39.3", ("--envoy", "1.39.3")),
            Step("1.40.0 with the leftover", ("--envoy", "1.40.0"), "leftover.yaml"),
        ),
        gate=1,
        asked=("conformance/timeouts",),
    ),
    Upgrade(
        "opened",
        "Broken on purpose: the upgrade opens the mesh, `outboundTrafficPolicy` becomes ALLOW_ANY.",
        (Step("REGISTRY_ONLY"), Step("ALLOW_ANY", ("--mesh-mode", "ALLOW_ANY"))),
        gate=1,
        asked=("conformance/registry_only", "conformance/sidecar_scope"),
    ),
)


def main() -> int:
    """Take the upgrades that are asked for, write the page, and return 0 where each gate did what it should."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EPILOG, allow_abbrev=False)
    parser.add_argument("--only", action="append", choices=[upgrade.name for upgrade in UPGRADES], help="some of them")
    parser.add_argument("--reports", type=Path, help="folder to keep the reports in (default: they are not kept)")
    parser.add_argument("--page", type=Path, default=PAGE, help="what to write (default: %(default)s)")
    parser.add_argument("--install-packages", action="store_true", help="let the cluster install what it lacks")
    arguments, rest = parser.parse_known_args()
    more = [word for word in rest if word != "--"]
    with tempfile.TemporaryDirectory() as folder:
        reports = (arguments.reports or Path(folder)).absolute()
        for upgrade in UPGRADES:
            if not arguments.only or upgrade.name in arguments.only:
                take(upgrade, reports, more, up=("--install-packages",) if arguments.install_packages else ())
        parts = [part for upgrade in UPGRADES for part in section(upgrade, reports)]
    arguments.page.write_text("\n\n".join([HEAD, *(part.rstrip() for part, _ in parts)]) + "\n", encoding="utf-8")
    sys.stdout.write(f"{arguments.page}\n")
    return int(not all(right for _, right in parts))


def take(upgrade: Upgrade, reports: Path, more: Sequence[str], *, up: Sequence[str]) -> None:
    """Take one cluster through all steps; leave a report for each. `more` is for pytest, `up` for the first start."""
    (reports / upgrade.name).mkdir(parents=True, exist_ok=True)
    try:
        for number, step in enumerate(upgrade.steps):
            verb = ["upgrade"] if number else ["up", *up]
            command("istio-egress", "cluster", *verb, "--name", NAME, *step.options)
            kubeconfig = State(NAME).kubeconfig
            if step.manifests:
                kubectl = State(NAME).folder / "bin" / "kubectl"
                command(str(kubectl), f"--kubeconfig={kubeconfig}", "apply", "--filename", str(HERE / step.manifests))
            report = report_of(upgrade, number, reports)
            asked = [str(ROOT / path) for path in upgrade.asked]
            options = ["--istio-egress", "--istio-egress-allow-mesh-wide", f"--istio-egress-kubeconfig={kubeconfig}"]
            ask([*options, *more, *asked], report)
    finally:
        command("istio-egress", "cluster", "down", "--name", NAME)


def ask(arguments: Sequence[str], report: Path) -> None:
    """Run the suite. Failures are what the comparison is for, so its exit code says nothing here; a report has to be.

    A machine that is busy with a roll-out may answer too late to be asked at all; hence a second try.
    """
    report.unlink(missing_ok=True)
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    for _ in range(TRIES):
        subprocess.run([*suite, f"--istio-egress-report={report}"], check=False, cwd=ROOT)
        if report.is_file():
            return
    sys.exit("upgrade: the suite could ask nothing; see above")


def command(program: str, *arguments: str) -> None:
    """Run something that has to work; commands of this package come from this very installation."""
    own = [sys.executable, "-m", "pytest_istio_egress.cli"] if program == "istio-egress" else [program]
    subprocess.run([*own, *arguments], check=True)


def report_of(upgrade: Upgrade, number: int, reports: Path) -> Path:
    """Return where the report of a step lies."""
    return reports / upgrade.name / f"{number}.yaml"


def section(upgrade: Upgrade, reports: Path) -> Iterator[tuple[str, bool]]:
    """Yield the page's part on one upgrade, and whether its gate did what it should; nothing where it was not taken."""
    files = [report_of(upgrade, number, reports) for number in range(len(upgrade.steps))]
    if not all(file.is_file() for file in files):
        return
    runs = [read_report(file) for file in files]
    rows: list[str] = []
    told: list[str] = []
    right = True
    for number, (before, after) in enumerate(pairwise(runs)):
        pair = f"{upgrade.steps[number].name} → {upgrade.steps[number + 1].name}"
        changes = compare_runs(before, after)
        gate = gate_of(files[number], files[number + 1])
        figures = [str(sum(change.kind == kind for change in changes)) for kind in KINDS]
        rows.append(f"| {pair} | {outcomes(before)} | {outcomes(after)} | {' | '.join(figures)} | {gate} |")
        meshes = cell("; ".join(differences_about(before, after)))
        told += [f"{pair}{f' ({meshes})' if meshes else ''}: {counts(changes)}", "", *examples(changes), ""]
        right = right and gate == upgrade.gate
    head = ["upgrade", "before", "after", *KINDS, "exit code"]
    table = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |", *rows]
    areas = ", ".join(path.removeprefix("conformance/") for path in upgrade.asked if path != "conformance")
    says = f"{upgrade.says} Asked: {areas}." if areas else upgrade.says
    yield "\n".join([f"## {upgrade.name}", "", says, "", *table, "", *told]), right


def gate_of(before: Path, after: Path) -> int:
    """Return the exit code of the comparison, as CI would see it."""
    compare = [sys.executable, "-m", "pytest_istio_egress.cli", "compare", str(before), str(after)]
    return subprocess.run(compare, check=False, stdout=subprocess.DEVNULL).returncode


def outcomes(run: Run) -> str:
    """Return how a run's cases ended: 363 holds."""
    return ", ".join(f"{run.count(outcome)} {outcome}" for outcome in reversed(RESULTS) if run.count(outcome))


def examples(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a list of some changes of each kind, each with what differs."""
    for kind in KINDS:
        found = sorted((change for change in changes if change.kind == kind), key=is_a_race)
        for change in found[:SHOWN]:
            yield f"- {kind}: `{change.id.removeprefix('conformance/')}`: {cell('; '.join(change.differences))}"
        if len(found) > SHOWN:
            yield f"- {kind}: and {len(found) - SHOWN} more"


def is_a_race(change: Change) -> bool:
    """Whether all that changed is who won, FIN or RST: it differs between any two runs, so it is shown last."""
    return all(words.startswith("curl's exit code") for words in change.differences)


if __name__ == "__main__":
    sys.exit(main())
