"""Every setting of the suite, and the place its value came from: command line, environment, ini file or default."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_istio_egress.option_table import CONTEXT, EMBEDDED, OPTIONS, Option

if TYPE_CHECKING:
    import pytest

__all__ = ["CONTEXT", "EMBEDDED", "OPTIONS", "PLACES", "SWITCH", "Option", "SettingError", "Settings", "settings"]

SWITCH = "istio_egress"
PLACES = ("default", "ini", "environment", "command line")
"""Where a value can come from; a later one overrules an earlier one."""

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class SettingError(Exception):
    """A setting is malformed, or two of them contradict each other. The message is one line."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of one run. `places` maps a setting's name to the one of PLACES that decided it."""

    target: str
    context: str | None
    kubeconfig: Path | None
    envoy: str | None
    istio: str | None
    proxy_binary: Path | None
    name: str | None
    keep_cluster: bool
    install_packages: bool
    allow_mesh_wide: bool
    revision: str | None
    gateway: str | None
    fact: tuple[str, ...]
    require: tuple[str, ...]
    profile: str
    image: tuple[str, ...]
    pull_secret: tuple[str, ...]
    node_selector: tuple[str, ...]
    toleration: tuple[str, ...]
    timeout_scale: float
    report: Path | None
    html: Path | None
    baseline: Path | None
    known_deviations: Path | None
    places: Mapping[str, str]

    @property
    def runs_mesh_wide(self) -> bool:
        """Whether cases that change mesh-wide configuration may run."""
        return self.allow_mesh_wide or self.target == EMBEDDED


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
        elif option.kind == "list":
            said = f"{option.help}; may be given several times"
            group.addoption(option.flag, action="append", metavar=option.metavar, dest=option.ini, help=said)
            parser.addini(option.ini, f"{option.help}; one a line", type="linelist", default=None)
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
    if said := os.environ.get(option.variable):
        return said.split() if option.kind == "list" else said, "environment"
    try:
        written = config.getini(option.ini)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{option.ini} in {config.inipath}: {error}") from error
    return (None, "default") if written in (None, []) else (written, "ini")


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
    for value in raw if option.kind == "list" else [raw]:
        if value and (wrong := option.complaint(value)):
            raise SettingError(f"{name} {wrong}")
    if option.kind == "list":
        return tuple(value for value in raw if value)
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
