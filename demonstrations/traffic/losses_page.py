"""The page of the losses: a table of kinds and steps, and what the clients saw."""

from __future__ import annotations

from dataclasses import dataclass

from steps import Step

from pytest_istio_egress.embedded import EmbeddedCluster
from pytest_istio_egress.traffic.kinds import Kind
from pytest_istio_egress.traffic.losses import Loss

NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight")


@dataclass(frozen=True)
class Upgrade:
    """The upgrade of one data plane: its page, the kinds of traffic, and the steps."""

    title: str
    arguments: str
    """The arguments of the command that makes the page."""
    kinds: tuple[Kind, ...]
    steps: tuple[Step, ...]


def page(upgrade: Upgrade, cluster: EmbeddedCluster, rounds: list[dict[str, list[Loss]]]) -> str:
    """Return the page; each round has the losses of every step by its name."""
    lasting = ", ".join(kind.name for kind in upgrade.kinds if kind.lasting)
    lines = [
        f"# {upgrade.title}",
        "",
        f"Made by `python demonstrations/traffic/traffic.py {upgrade.arguments}` on an embedded cluster:",
        f"Istio {cluster.istio}, Envoy {cluster.envoy}, one node, two cores, one replica of everything.",
        f"`istio-egress traffic` sent {NUMBERS[len(upgrade.kinds)]} kinds of traffic: "
        "at most five requests a second of each, and at most five",
        "events a second on each long-lived connection.",
        f"Each step was performed {len(rounds)} times; a cell has lost/sent for each time, then the longest gap",
        f"without a response. For long-lived connections ({lasting}) the numbers count connections. A",
        "connection that ended because its own pod was terminated is not lost; their number follows a plus sign.",
        "",
        "| kind | " + " | ".join(step.name for step in upgrade.steps) + " |",
        "| --- |" + " --- |" * len(upgrade.steps),
    ]
    for kind in upgrade.kinds:
        cells = [
            cell([one for done in rounds for one in done[step.name] if one.kind == kind]) for step in upgrade.steps
        ]
        lines.append(f"| {kind.name} | " + " | ".join(cells) + " |")
    lines += ["", *(f"- {step.name}: {step.description}" for step in upgrade.steps), "", "What the clients saw:", ""]
    lines += [f"- {step.name}: {seen([done[step.name] for done in rounds])}" for step in upgrade.steps]
    return "\n".join(lines) + "\n"


def cell(taken: list[Loss]) -> str:
    """Return the losses of one kind in one step, for each time that it was performed."""
    counts = ", ".join(f"{loss.lost}/{loss.sent}" + (f" +{loss.ended}" if loss.ended else "") for loss in taken)
    longest = max((loss.longest for loss in taken), default=0.0)
    return f"{counts}; {longest:.1f} s" if longest else counts


def seen(rounds: list[list[Loss]]) -> str:
    """Return the clients' errors of one step in every round, each once with its kind."""
    errors = {
        f"{loss.kind.name}: {error.partition(' x ')[2]}"
        for losses in rounds
        for loss in losses
        for gap in loss.gaps
        for error in gap.saw
    }
    return "; ".join(sorted(errors)) or "only successful responses"
