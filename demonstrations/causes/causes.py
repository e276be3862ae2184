"""Breaks the mesh deliberately, once per cause, and lists the diagnosis of each failure.

    python demonstrations/causes/causes.py > docs/causes.md

Every entry of broken.yaml names a parameter of the suite and one way to break the mesh under it. The tests themselves
run unchanged on an embedded cluster; only the manifests that reach the API differ, or something is done to the running
mesh. The exit status is 1 where a result or a sentence is not the expected one. Arguments are pytest's.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import yaml
from broken import Broken, load
from broken_cases import BrokenRun, run_broken

from pytest_istio_egress.embedded import ClusterSpec, down, up

CLUSTER = "causes"


def page(entries: Sequence[Broken], run: BrokenRun) -> str:
    """Return the page."""
    lines = [
        "# Diagnosed causes, each reproduced deliberately",
        "",
        "Each row is a mesh that was broken under one parameter of the suite, and the diagnosis of the failure.",
        "Made by `python demonstrations/causes/causes.py` from `broken.yaml` beside it; its exit status is 1 where a",
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
    return "\n".join(lines) + "\n"


def _change(broken: Broken) -> str:
    changes = []
    for patch in yaml.safe_load_all(broken.patch):
        resource = f"{patch['kind']} {patch['metadata']['name']}"
        spec = yaml.safe_dump(patch.get("spec", {}), default_flow_style=True, width=10**6).strip()
        changes.append(f"{resource} deleted" if patch.get("delete") else f"{resource}: `{spec}`")
    return "; ".join(changes + ([f"`{broken.live}`"] if broken.live else []))


def main() -> int:
    """Start the mesh, break it, print the page; arguments are pytest's."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(str(__doc__))
        return 0
    entries = load()
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        run = run_broken(entries, cluster.kubeconfig, sys.argv[1:])
    finally:
        down(CLUSTER)
    sys.stderr.write(run.output)
    sys.stdout.write(page(entries, run))
    return int(any(run.of(broken).mismatch(broken) for broken in entries))


if __name__ == "__main__":
    sys.exit(main())
