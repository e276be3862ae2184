"""Breaks the mesh on purpose, cause by cause, and lists what was said.

    python demonstrations/causes/causes.py > docs/causes.md

Every entry of broken.yaml names a shipped case and one way to break the mesh under it. The cases run as they are, on an
embedded cluster; only the manifests that reach the API differ, or something is done to the running mesh. The command
ends with 1 where a case did not fail, or another sentence came than broken.yaml tells. Arguments go to pytest.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import yaml
from broken import Broken, load
from broken_cases import CommandResult, Seen, ask

from pytest_istio_egress.embedded import ClusterSpec, down, up

CLUSTER = "causes"


def table(all_broken: Sequence[Broken], ran: CommandResult) -> str:
    """Return the page."""
    lines = [
        "# What is said of which cause",
        "",
        "Each row is a mesh that was broken on purpose under one of the shipped cases, and the sentence that came.",
        "Made by `python demonstrations/causes/causes.py` of `broken.yaml` beside it; it ends with 1 where a sentence",
        "is not as told there.",
        "",
        "| # | cause | case | broken by | outcome | what was said |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for broken in all_broken:
        seen = ran.seen.get(broken.number, Seen())
        wrong = seen.wrong(broken)
        cells = (
            str(broken.number),
            broken.cause,
            f"`{broken.case}`",
            _how(broken),
            broken.outcome + (f" **({wrong})**" if wrong else ""),
            seen.sentence,
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _how(broken: Broken) -> str:
    told = []
    for patch in yaml.safe_load_all(broken.patch):
        named = f"{patch['kind']} {patch['metadata']['name']}"
        said = yaml.safe_dump(patch.get("spec", {}), default_flow_style=True, width=10**6).strip()
        told.append(f"{named} left out" if patch.get("delete") else f"{named}: `{said}`")
    return "; ".join(told + ([f"`{broken.live}`"] if broken.live else []))


def main() -> int:
    """Start the mesh, break it, print the page; arguments are pytest's."""
    if {"-h", "--help"} & set(sys.argv[1:]):
        sys.stdout.write(str(__doc__))
        return 0
    all_broken = load()
    cluster = up(ClusterSpec(name=CLUSTER), tied_to_caller=True)
    try:
        ran = ask(all_broken, cluster.kubeconfig, sys.argv[1:])
    finally:
        down(CLUSTER)
    sys.stderr.write(ran.output)
    sys.stdout.write(table(all_broken, ran))
    return int(any(ran.seen.get(broken.number, Seen()).wrong(broken) for broken in all_broken))


if __name__ == "__main__":
    sys.exit(main())
