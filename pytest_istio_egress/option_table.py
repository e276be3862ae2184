"""The table of settings: name, help, what a value may be. Plain data; options.py reads them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from pytest_istio_egress.case import FEATURES, PROFILES
from pytest_istio_egress.mesh_facts import FACTS, NO_GATEWAY, OWN_GATEWAY
from pytest_istio_egress.placement import IMAGES, toleration

CONTEXT = "context"
EMBEDDED = "embedded"


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting under its three names: `--istio-egress-x-y`, `istio_egress_x_y`, `ISTIO_EGRESS_X_Y`.

    `only_for` is the target that the setting belongs to; None: both. A "list" may be given several times; in an ini
    file it has a line each, in the environment spaces between.
    """

    name: str
    help: str
    kind: Literal["text", "target", "path", "flag", "factor", "list"] = "text"
    metavar: str | None = None
    default: Any = None
    only_for: str | None = None
    complaint: Callable[[str], str] = field(default=lambda _: "")
    """Says what is wrong with a value (of a list: with one element), empty if nothing is."""

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return f"--istio-egress-{self.name.replace('_', '-')}"

    @property
    def ini(self) -> str:
        """The name in a configuration file."""
        return f"istio_egress_{self.name}"

    @property
    def variable(self) -> str:
        """The name in the environment."""
        return self.ini.upper()

    def named(self, place: str) -> str:
        """Return the name that it has in that place."""
        return {"ini": self.ini, "environment": self.variable}.get(place, self.flag)


def wrong_name(value: str, known: Iterable[str], what: str) -> str:
    """Say what is wrong with NAME=VALUE whose name has to be known."""
    name, equals, rest = value.partition("=")
    if name not in known:
        return f"knows no {what} {name!r}; there are {', '.join(sorted(known))}"
    return "" if equals and (rest or what == "feature") else f"is NAME=VALUE, not {value!r}"


def wrong_gateway(value: str) -> str:
    """Say what is wrong with the name of an egress gateway."""
    fits = value in (OWN_GATEWAY, NO_GATEWAY) or (value.count("/") == 1 and value.strip("/") == value)
    return "" if fits else f"is NAMESPACE/SERVICE, {OWN_GATEWAY} or {NO_GATEWAY}, not {value!r}"


def wrong_toleration(value: str) -> str:
    """Say what is wrong with a toleration."""
    try:
        toleration(value)
    except ValueError as error:
        return f"can't be {value!r}: {error}"
    return ""


MESH_OPTIONS = (
    Option(name="revision", metavar="NAME", help="revision or tag of the control plane whose proxies are asked"),
    Option(
        name="gateway",
        metavar="NAMESPACE/SERVICE",
        complaint=wrong_gateway,
        help="the egress gateway to ask (default: the one that is found); own: the run brings one in a namespace of "
        "its own; none: cases that need one are skipped",
    ),
    Option(
        name="fact",
        kind="list",
        metavar="NAME=VALUE",
        default=(),
        complaint=lambda value: wrong_name(value, FACTS, "fact"),
        help=f"a fact of the mesh, instead of having it found out ({', '.join(FACTS)})",
    ),
    Option(
        name="require",
        kind="list",
        metavar="FEATURE",
        default=(),
        complaint=lambda value: wrong_name(f"{value}=", FEATURES, "feature"),
        help=f"a feature ({', '.join(FEATURES)}) whose lack fails the cases that need it, instead of skipping them",
    ),
    Option(
        name="profile",
        metavar="{" + ",".join(PROFILES) + "}",
        default=PROFILES[-1],
        complaint=lambda value: "" if value in PROFILES else f"is one of {', '.join(PROFILES)}, not {value!r}",
        help="core: what any mesh with sidecars is asked; extended: also what needs a gateway or another feature; all: "
        "also mesh-wide cases, where these are allowed (default)",
    ),
)
PLACEMENT_OPTIONS = (
    Option(
        name="image",
        kind="list",
        metavar="NAME=IMAGE",
        default=(),
        complaint=lambda value: wrong_name(value, IMAGES, "image"),
        help=f"where an image of the run's pods ({', '.join(IMAGES)}) comes from",
    ),
    Option(
        name="pull_secret",
        kind="list",
        metavar="NAMESPACE/NAME",
        default=(),
        complaint=lambda value: "" if value.count("/") == 1 and value.strip("/") == value else "is NAMESPACE/NAME",
        help="a secret to pull images with, copied into the run's namespaces",
    ),
    Option(
        name="node_selector",
        kind="list",
        metavar="KEY=VALUE",
        default=(),
        complaint=lambda value: "" if value.partition("=")[0] and "=" in value else f"is KEY=VALUE, not {value!r}",
        help="a label of the nodes that the run's pods may go to",
    ),
    Option(
        name="toleration",
        kind="list",
        metavar="KEY[=VALUE][:EFFECT]",
        default=(),
        complaint=wrong_toleration,
        help="a taint of nodes that the run's pods tolerate",
    ),
)
OPTIONS = (
    Option(
        name="target",
        kind="target",
        metavar="{context,embedded}",
        default=CONTEXT,
        help="the cluster to ask: a kubeconfig context (default), or a one-node cluster started on this machine",
    ),
    Option(name="context", metavar="NAME", only_for=CONTEXT, help="kubeconfig context (default: the current one)"),
    Option(
        name="kubeconfig",
        kind="path",
        metavar="PATH",
        only_for=CONTEXT,
        help="kubeconfig file (default: as kubectl finds it)",
    ),
    Option(name="envoy", metavar="VERSION", only_for=EMBEDDED, help="Envoy release of the embedded cluster"),
    Option(
        name="istio", metavar="RELEASE", only_for=EMBEDDED, help="Istio release, tag or commit of the embedded cluster"
    ),
    Option(
        name="proxy_binary", kind="path", metavar="PATH", only_for=EMBEDDED, help="its proxies' Envoy: one of your own"
    ),
    Option(name="name", metavar="NAME", only_for=EMBEDDED, help="name of the embedded cluster"),
    Option(
        name="keep_cluster",
        kind="flag",
        default=False,
        only_for=EMBEDDED,
        help="leave the embedded cluster running",
    ),
    Option(
        name="install_packages",
        kind="flag",
        default=False,
        only_for=EMBEDDED,
        help="let the embedded cluster install the Debian packages that it lacks",
    ),
    Option(
        name="allow_mesh_wide",
        kind="flag",
        default=False,
        help="also run the cases that change mesh-wide configuration (the embedded cluster always does)",
    ),
    *MESH_OPTIONS,
    *PLACEMENT_OPTIONS,
    Option(
        name="timeout_scale",
        kind="factor",
        metavar="FACTOR",
        default=1.0,
        help="stretch every waiting time by this factor (default: 1)",
    ),
    Option(name="report", kind="path", metavar="PATH", help="write a conformance report (YAML) that can be compared"),
    Option(name="html", kind="path", metavar="PATH", help="write a page (HTML, one file) with all that was seen"),
    Option(
        name="baseline",
        kind="path",
        metavar="PATH",
        help="an earlier conformance report: what deviated there fails no more, what it had must not be missing",
    ),
    Option(
        name="known_deviations",
        kind="path",
        metavar="PATH",
        help="YAML file of deviations that fail nothing until a day: deviations: [{case, reason, expires}]",
    ),
)
