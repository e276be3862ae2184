"""Breaks the mesh deliberately, once per cause, and lists the diagnosis of each failure.

    python demonstrations/causes/causes.py > docs/causes.md
    python demonstrations/causes/causes.py --ambient ZTUNNEL > docs/ambient_causes.md

Every entry of broken.yaml (of broken_ambient.yaml, with a ztunnel binary) names a parameter of the suite and one way
to break the mesh under it. The tests themselves run unchanged on an embedded cluster; only the manifests that reach the
API differ, or something is done to the running mesh. The exit status is 1 where a result or a sentence is not the
expected one. Further arguments are pytest's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml
from broken import AMBIENT, SIDECARS, Broken, load
from broken_cases import BrokenRun, run_broken

from demonstrations.command_line import parser_of
from pytest_istio_egress.embedded import ClusterSpec, down, up
from pytest_istio_egress.model.difference import HOPS
from pytest_istio_egress.verdict.diagnosis import CAUSES

CLUSTER = "causes"


HEADS = {
    SIDECARS: (
        "Diagnosed causes, each reproduced deliberately",
        "Made by `python demonstrations/causes/causes.py`",
    ),
    AMBIENT: (
        "Diagnosed causes in ambient meshes, each reproduced deliberately",
        "Made by `python demonstrations/causes/causes.py --ambient ZTUNNEL`",
    ),
}
"""The title of the page of each file, and what says how it is made."""


def page(file: Path, entries: Sequence[Broken], run: BrokenRun) -> str:
    """Return the page."""
    title, made_by = HEADS[file]
    lines = [
        f"# {title}",
        "",
        "Each row is a mesh that was broken under one parameter of the suite, by its own manifests or from outside,",
        "and the diagnosis of the failure.",
        f"{made_by} from `{file.name}` beside it; its exit status is 1 where a",
        "diagnosis is not the expected one.",
        "",
        "| # | cause | parameter | broken by | result | diagnosis |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for broken in entries:
        mismatch = run.of(broken).mismatch(broken)
        cells = (
            str(broken.number),
            broken.cause,
            f"`{broken.parameter}`",
            _change(broken),
            broken.result + (f" **({mismatch})**" if mismatch else ""),
            run.of(broken).sentence,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join([*lines, *(_evidence() if file == SIDECARS else ())]) + "\n"


def _evidence() -> Iterator[str]:
    """Yield the table of all causes with the evidence that each needs, the first that fits is stated."""
    yield from (
        "",
        "## The evidence of each cause",
        "",
        "A cause is stated only where all of its evidence is there, it explains a field that differs, and its own",
        "check ties the two. The first one in this order that fits is stated. Where none fits, the sentence says",
        "what is known and what was ruled out. tests/unit/test_diagnosis.py takes each part of the evidence away, and",
        "expects silence.",
        "",
        "| cause | evidence | explains |",
        "| --- | --- | --- |",
    )
    for cause in CAUSES:
        evidence = "; ".join(evidence.value for evidence in cause.needs)
        hops = ", ".join(sorted({hop for hop, _ in cause.explains}, key=HOPS.index))
        yield f"| {cause.name} | {evidence} | what differs at: {hops} |"


def _change(broken: Broken) -> str:
    changes = []
    for patch in yaml.safe_load_all(broken.patch):
        resource = f"{patch['kind']} {patch['metadata']['name']}"
        changed = {name: patch["metadata"][name] for name in ("labels",) if name in patch["metadata"]}
        if patch.get("spec"):
            changed = {**changed, **patch["spec"]}
        shown = yaml.safe_dump(changed, default_flow_style=True, width=10**6).strip()
        changes.append(f"{resource} deleted" if patch.get("delete") else f"{resource}: `{shown}`")
    return "; ".join(changes + ([f"`{broken.live}`"] if broken.live else []))


def main() -> int:
    """Start the mesh, break it, print the page; further arguments are pytest's."""
    parser = parser_of(__file__, __doc__)
    parser.add_argument("--ambient", type=Path, metavar="ZTUNNEL", help="break an ambient mesh with this ztunnel")
    chosen, arguments = parser.parse_known_args()
    file = AMBIENT if chosen.ambient else SIDECARS
    entries = load(file)
    cluster = up(
        ClusterSpec(name=CLUSTER, ambient=chosen.ambient is not None, ztunnel=chosen.ambient), tied_to_caller=True
    )
    try:
        run = run_broken(entries, cluster.kubeconfig, arguments, file=file)
    finally:
        down(CLUSTER)
    sys.stderr.write(run.output)
    sys.stdout.write(page(file, entries, run))
    return int(any(run.of(broken).mismatch(broken) for broken in entries))


if __name__ == "__main__":
    sys.exit(main())
