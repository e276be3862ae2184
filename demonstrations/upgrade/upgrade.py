"""Runs the suite before and after upgrades of one embedded cluster, and writes the changes to docs/upgrade.md."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import canary

from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded.state import State
from pytest_istio_egress.model.result_names import RESULTS
from pytest_istio_egress.report.comparison import KINDS, Change, compare_runs, environment_changes
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

Made by `python demonstrations/upgrade/upgrade.py` (`nox -s upgrade`). `istio-egress cluster upgrade` changes the
proxy image and Istio's settings while the cluster runs: istiod is rolled out, then the egress gateway; the suite
creates new clients anyway. The numbers count parameters. The exit code is that of `istio-egress compare` with its
default `--fail-on`: 1 if any parameter is worse or gone."""
TRIES = 2
EPILOG = "all other arguments are pytest's, such as -n 2"
SHOWN = 4  # changes of one kind that the page lists; the others are only counted


AREAS_OF_ISTIOD = ("egress_gateway", "kubernetes_services", "service_entry", "sidecar_injection", "tls_origination")
"""Where a compatibilityVersion can make a difference: native sidecars, Services of one name, merged gateways."""


@dataclass(frozen=True)
class Step:
    """One state of the cluster: its name, and the options of `istio-egress cluster up` or `upgrade`.

    `manifests` is a file that is applied afterwards, None for none.
    """

    name: str
    options: tuple[str, ...] = ()
    manifests: str | None = None


@dataclass(frozen=True)
class Upgrade:
    """Steps of one cluster, the suite after each. `gate` is the exit code that `compare` must have."""

    name: str
    description: str
    steps: tuple[Step, ...]
    gate: int = 0
    paths: tuple[str, ...] = ("conformance",)


UPGRADES = (
    Upgrade(
        "envoy",
        "Upgrades of the data plane's Envoy, with the whole suite at each step.",
        tuple(Step(version, ("--envoy", version)) for version in ("1.36.4", "1.37.0", "1.38.3", "1.39.3", "1.40.0")),
    ),
    Upgrade(
        "compatibility",
        "Istio's `compatibilityVersion`: istiod behaves like that release, in the last step like its own.",
        (
            *(Step(f"compatibility {release}", ("--compatibility", release)) for release in ("1.25", "1.28")),
            Step("none"),
        ),
        paths=tuple(f"conformance/{area}" for area in AREAS_OF_ISTIOD),
    ),
    Upgrade(
        "broken",
        "Broken deliberately, to show that the gate closes: after the upgrade a leftover EnvoyFilter "
        "([leftover.yaml](../demonstrations/upgrade/leftover.yaml)) removes the timeout of every route.",
        (
            Step("1.39.3", ("--envoy", "1.39.3")),
            Step("1.40.0 with the leftover", ("--envoy", "1.40.0"), "leftover.yaml"),
        ),
        gate=1,
        paths=("conformance/timeouts",),
    ),
    Upgrade(
        "opened",
        "Broken deliberately: the upgrade changes `outboundTrafficPolicy` to ALLOW_ANY.",
        (Step("REGISTRY_ONLY"), Step("ALLOW_ANY", ("--mesh-mode", "ALLOW_ANY"))),
        gate=1,
        paths=("conformance/outbound_policy", "conformance/sidecar_scope"),
    ),
)


def main() -> int:
    """Perform the chosen upgrades, write the page, and return 0 if each gate had the expected exit code."""
    parser = parser_of(__file__, __doc__, EPILOG)
    parser.add_argument(
        "--only",
        action="append",
        choices=[canary.NAME, *(upgrade.name for upgrade in UPGRADES)],
        help="only this upgrade; may be repeated. The page keeps its sections on the others",
    )
    parser.add_argument("--reports", type=Path, help="folder to save the reports in (default: they are not saved)")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write (default: %(default)s)")
    parser.add_argument(
        "--install-packages", action="store_true", help="let the cluster install missing Debian packages"
    )
    arguments, rest = parser.parse_known_args()
    more = [word for word in rest if word != "--"]
    with tempfile.TemporaryDirectory() as folder:
        reports = (arguments.reports or Path(folder)).absolute()
        packages = ["--install-packages"] if arguments.install_packages else []
        if not arguments.only or canary.NAME in arguments.only:
            suite = ["--istio-egress-allow-mesh-wide", *more, str(ROOT / "conformance")]
            canary.perform(reports / canary.NAME, suite, run_suite, up=packages)
        for upgrade in UPGRADES:
            if not arguments.only or upgrade.name in arguments.only:
                perform(upgrade, reports, more, up=packages)
        parts = [*canary_section(reports), *(part for upgrade in UPGRADES for part in section(upgrade, reports))]
    made = {name_of(part): part.rstrip() for part, _ in parts}
    sections = {**sections_of(arguments.page), **made}
    names = [name for name in (canary.NAME, *(upgrade.name for upgrade in UPGRADES)) if name in sections]
    arguments.page.write_text("\n\n".join([HEAD, *(sections[name] for name in names)]) + "\n", encoding="utf-8")
    sys.stdout.write(f"{arguments.page}\n")
    return int(not all(right for _, right in parts))


def sections_of(page: Path) -> dict[str, str]:
    """Return the sections of a page by the names of their upgrades; none where there is no page yet."""
    text = page.read_text(encoding="utf-8") if page.is_file() else ""
    return {name_of(f"## {part}"): f"## {part.rstrip()}" for part in text.split("\n## ")[1:]}


def name_of(section: str) -> str:
    """Return the name of the upgrade that a section is about."""
    return section.partition("\n")[0].removeprefix("## ")


def perform(upgrade: Upgrade, reports: Path, more: Sequence[str], *, up: Sequence[str]) -> None:
    """Perform all steps on one cluster; write a report for each. `more` is for pytest, `up` for the first start."""
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
            paths = [str(ROOT / path) for path in upgrade.paths]
            options = ["--istio-egress", "--istio-egress-allow-mesh-wide", f"--istio-egress-kubeconfig={kubeconfig}"]
            run_suite([*options, *more, *paths], report)
    finally:
        command("istio-egress", "cluster", "down", "--name", NAME)


def run_suite(arguments: Sequence[str], report: Path) -> None:
    """Run the suite; ignore its exit code, because the comparison evaluates failures. It has to write a report.

    The cluster may be unreachable while the machine is busy with a rollout; hence a second try.
    """
    report.unlink(missing_ok=True)
    suite = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    for _ in range(TRIES):
        subprocess.run([*suite, f"--istio-egress-report={report}"], check=False, cwd=ROOT)
        if report.is_file():
            return
    sys.exit("upgrade: pytest wrote no report; see its output above")


def command(program: str, *arguments: str) -> None:
    """Run a command that must succeed; this package's commands are those of this installation."""
    own = [sys.executable, "-m", "pytest_istio_egress.cli"] if program == "istio-egress" else [program]
    subprocess.run([*own, *arguments], check=True)


def report_of(upgrade: Upgrade, number: int, reports: Path) -> Path:
    """Return the path of a step's report."""
    return reports / upgrade.name / f"{number}.yaml"


def section(upgrade: Upgrade, reports: Path) -> Iterator[tuple[str, bool]]:
    """Yield the page's section on one upgrade, and whether its gate was right; nothing where reports are missing."""
    files = [report_of(upgrade, number, reports) for number in range(len(upgrade.steps))]
    if not all(file.is_file() for file in files):
        return
    areas = ", ".join(path.removeprefix("conformance/") for path in upgrade.paths if path != "conformance")
    description = f"{upgrade.description} Areas: {areas}." if areas else upgrade.description
    compared = comparisons([step.name for step in upgrade.steps], files)
    right = all(each.gate == upgrade.gate for each in compared)
    yield "\n".join([f"## {upgrade.name}", "", description, "", *lines_of(compared)]), right


def canary_section(reports: Path) -> Iterator[tuple[str, bool]]:
    """Yield the page's section on the canary upgrade; nothing where reports are missing."""
    files = [reports / canary.NAME / f"{name}.yaml" for name in canary.SUITES]
    losses = canary.section(reports / canary.NAME)
    if not losses or not all(file.is_file() for file in files):
        return
    names = [canary.FROM, f"clients of {canary.TO}, gateway of {canary.FROM}", canary.TO]
    compared = comparisons(names, files)
    head = [f"## {canary.NAME}", "", canary.DESCRIPTION, ""]
    yield (
        "\n".join([*head, *lines_of(compared), canary.EXPLANATION, "", *losses]),
        all(each.gate == 0 for each in compared),
    )


@dataclass(frozen=True)
class Compared:
    """Two runs of the suite, what changed between them, and the exit code of `compare`."""

    pair: str
    before: Run
    after: Run
    changes: list[Change]
    gate: int


def comparisons(names: Sequence[str], files: Sequence[Path]) -> list[Compared]:
    """Compare the reports of each two steps that follow each other."""
    found = []
    for (old, before), (new, after) in pairwise(zip(names, files, strict=True)):
        runs = read_report(before), read_report(after)
        found.append(Compared(f"{old} → {new}", *runs, compare_runs(*runs), gate_of(before, after)))
    return found


def lines_of(compared: Sequence[Compared]) -> list[str]:
    """Return a table with a row for each comparison, then the changes of each."""
    head = ["upgrade", "before", "after", *KINDS, "exit code"]
    rows = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    lists: list[str] = []
    for each in compared:
        figures = [str(sum(change.kind == kind for change in each.changes)) for kind in KINDS]
        cells = [each.pair, results_of(each.before), results_of(each.after), *figures, str(each.gate)]
        rows.append(f"| {' | '.join(cells)} |")
        about = cell("; ".join(environment_changes(each.before, each.after)))
        title = f"{each.pair}{f' ({about})' if about else ''}: {counts(each.changes)}"
        lists += [title, "", *examples(each.changes), ""]
    return [*rows, "", *lists]


def gate_of(before: Path, after: Path) -> int:
    """Return the exit code of the comparison, as CI would see it."""
    compare = [sys.executable, "-m", "pytest_istio_egress.cli", "compare", str(before), str(after)]
    return subprocess.run(compare, check=False, stdout=subprocess.DEVNULL).returncode


def results_of(run: Run) -> str:
    """Return the number of parameters by result: 375 passed, 2 skipped."""
    return ", ".join(f"{run.count(name)} {name}" for name in reversed(RESULTS) if run.count(name))


def examples(changes: Sequence[Change]) -> Iterator[str]:
    """Yield a list of some changes of each kind, each with its differences."""
    for kind in KINDS:
        of_kind = sorted((change for change in changes if change.kind == kind), key=is_a_race)
        for change in of_kind[:SHOWN]:
            yield f"- {kind}: `{change.id.removeprefix('conformance/')}`: {cell('; '.join(change.differences))}"
        if len(of_kind) > SHOWN:
            yield f"- {kind}: and {len(of_kind) - SHOWN} more"


def is_a_race(change: Change) -> bool:
    """Whether only curl's exit code differs: FIN or RST, which may differ between any two runs, so it is shown last."""
    return all("exit code" in difference for difference in change.differences)


if __name__ == "__main__":
    sys.exit(main())
