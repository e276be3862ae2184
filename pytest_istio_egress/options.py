"""Every setting of the suite, and the place its value came from: command line, environment, ini file or default."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import pytest

SWITCH = "istio_egress"
CONTEXT = "context"
EMBEDDED = "embedded"
PLACES = ("default", "ini", "environment", "command line")
"""Where a value can come from; a later one overrules an earlier one."""

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class SettingError(Exception):
    """A setting is malformed, or two of them contradict each other. The message is one line."""


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting under its three names: `--istio-egress-x-y`, `istio_egress_x_y`, `ISTIO_EGRESS_X_Y`.

    `only_for` is the target that the setting belongs to; None: both.
    """

    name: str
    help: str
    kind: Literal["text", "target", "path", "flag", "factor"] = "text"
    metavar: str | None = None
    default: Any = None
    only_for: str | None = None

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
    Option(name="istio", metavar="REF", only_for=EMBEDDED, help="Istio module version of the embedded cluster"),
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


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one run. `places` maps a setting's name to the one of PLACES that decided it."""

    target: str
    context: str | None
    kubeconfig: Path | None
    envoy: str | None
    istio: str | None
    name: str | None
    keep_cluster: bool
    install_packages: bool
    allow_mesh_wide: bool
    timeout_scale: float
    report: Path | None
    html: Path | None
    baseline: Path | None
    known_deviations: Path | None
    places: Mapping[str, str]


def add_options(parser: pytest.Parser) -> None:
    """Declare the switch and every setting, on the command line and for configuration files."""
    group = parser.getgroup("istio-egress", "istio-egress: does outgoing traffic behave as Istio documents?")
    group.addoption(
        "--istio-egress",
        action="store_true",
        dest=SWITCH,
        help="run the Istio egress cases against a cluster; nothing below has a meaning without it",
    )
    for option in OPTIONS:
        if option.kind == "flag":
            group.addoption(option.flag, action="store_true", default=None, dest=option.ini, help=option.help)
            parser.addini(option.ini, option.help, type="bool", default=None)
        else:
            group.addoption(option.flag, metavar=option.metavar, dest=option.ini, help=option.help)
            parser.addini(option.ini, option.help, default=None)


def settings(config: pytest.Config) -> Settings:
    """Read every setting; raises SettingError where one is malformed or two contradict each other."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for option in OPTIONS:
        raw, place = _found(option, config)
        values[option.name] = option.default if raw is None else _parsed(option, raw, place, config)
        places[option.name] = place
    found = Settings(**values, places=places)
    _check_consistent(found)
    return found


def without_switch(config: pytest.Config) -> str | None:
    """Return the first of our settings that stands on the command line."""
    return next((option.flag for option in OPTIONS if config.getoption(option.ini) is not None), None)


def _found(option: Option, config: pytest.Config) -> tuple[Any, str]:
    given = config.getoption(option.ini)
    if given is not None:
        return given, "command line"
    if os.environ.get(option.variable):
        return os.environ[option.variable], "environment"
    try:
        written = config.getini(option.ini)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{option.ini} in {config.inipath}: {error}") from error
    return (None, "default") if written is None else (written, "ini")


def _parsed(option: Option, raw: Any, place: str, config: pytest.Config) -> Any:
    name = option.named(place)
    match option.kind:
        case "flag":
            return _switched(name, raw)
        case "factor":
            return _factor(name, raw)
        case "path":
            base = config.inipath.parent if place == "ini" and config.inipath else config.invocation_params.dir
            return base / Path(raw).expanduser()
        case "target" if raw not in (CONTEXT, EMBEDDED):
            raise SettingError(f"{name} is {CONTEXT} or {EMBEDDED}, not {raw!r}")
    if not raw:
        raise SettingError(f"{name} is empty: give it a value or leave it out")
    return raw


def _switched(name: str, raw: bool | str) -> bool:  # noqa: FBT001  # the value itself, as pytest hands it over
    word = str(raw).lower()
    if word not in TRUE | FALSE:
        raise SettingError(f"{name} is true or false, not {raw!r}")
    return word in TRUE


def _factor(name: str, raw: str) -> float:
    try:
        factor = float(raw)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise SettingError(f"{name} is a number above 0, such as 2 or 0.5, not {raw!r}")
    return factor


def _check_consistent(found: Settings) -> None:
    """Refuse settings of the other target, unless the target was chosen in a place that overrules theirs."""
    chosen = PLACES.index(found.places["target"])
    for option in OPTIONS:
        place = found.places[option.name]
        belongs = option.only_for in (None, found.target)
        if belongs or getattr(found, option.name) == option.default or PLACES.index(place) < chosen:
            continue
        raise SettingError(
            f"{option.named(place)} ({place}) needs the {option.only_for} target, but the target is {found.target} "
            f"({found.places['target']}): add --istio-egress-target {option.only_for}, or leave it out"
        )
