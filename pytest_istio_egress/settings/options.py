"""Reads every setting from the command line, the environment or an ini file."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pytest_istio_egress.settings.option import CONTEXT, EMBEDDED, Option
from pytest_istio_egress.settings.option_table import OPTIONS, Settings

if TYPE_CHECKING:
    import pytest

__all__ = ["CONTEXT", "EMBEDDED", "OPTIONS", "PLACES", "SWITCH", "Option", "SettingError", "Settings", "settings"]

SWITCH = "istio_egress"
PLACES = ("default", "ini", "environment", "command line")
"""The places that a value can come from; a later one overrides an earlier one."""

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off", ""})


class SettingError(Exception):
    """A setting is invalid, or two of them contradict each other. The message is one line."""


def add_options(parser: pytest.Parser) -> None:
    """Declare the switch and every setting, for the command line and for ini files."""
    # Help texts follow pytest: they start with a capital letter, and a single sentence has no full stop.
    group = parser.getgroup("istio-egress", "Istio egress conformance tests")
    group.addoption(
        "--istio-egress",
        action="store_true",
        dest=SWITCH,
        help="Run the Istio egress tests against a cluster. Required for all options below",
    )
    for option in OPTIONS:
        if option.kind == "flag":
            group.addoption(option.flag, action="store_true", default=None, dest=option.ini, help=option.help)
            parser.addini(option.ini, option.help, type="bool", default=None)
        elif option.kind == "list":
            repeatable = f"{option.help}. Can be repeated"
            group.addoption(option.flag, action="append", metavar=option.metavar, dest=option.ini, help=repeatable)
            parser.addini(option.ini, f"{option.help}. One per line", type="linelist", default=None)
        else:
            group.addoption(option.flag, metavar=option.metavar, dest=option.ini, help=option.help)
            parser.addini(option.ini, option.help, default=None)


def settings(config: pytest.Config) -> Settings:
    """Read every setting; raises SettingError where one is invalid or two contradict each other."""
    values: dict[str, Any] = {}
    places: dict[str, str] = {}
    for option in OPTIONS:
        raw, place = _raw_value(option, config)
        values[option.name] = option.default if raw is None else _parsed(option, raw, place, config)
        places[option.name] = place
    read = Settings(**values, places=places)
    _check_consistent(read)
    return read


def without_switch(config: pytest.Config) -> str | None:
    """Return the first of our options on the command line."""
    return next((option.flag for option in OPTIONS if config.getoption(option.ini) is not None), None)


def _raw_value(option: Option, config: pytest.Config) -> tuple[Any, str]:
    """Return a setting's unparsed value, None where only its default applies, and the place it comes from."""
    given = config.getoption(option.ini)
    if given is not None:
        return given, "command line"
    if variable := os.environ.get(option.variable):
        return variable.split() if option.kind == "list" else variable, "environment"
    try:
        written = config.getini(option.ini)
    except (TypeError, ValueError) as error:
        raise SettingError(f"{option.ini} in {config.inipath}: {error}") from error
    return (None, "default") if written in (None, []) else (written, "ini")


def _parsed(option: Option, raw: Any, place: str, config: pytest.Config) -> Any:
    name = option.name_in(place)
    match option.kind:
        case "flag":
            return _switched(name, raw)
        case "factor":
            return _factor(name, raw)
        case "path":
            base = config.inipath.parent if place == "ini" and config.inipath else config.invocation_params.dir
            return base / Path(raw).expanduser()
        case "target" if raw not in (CONTEXT, EMBEDDED):
            raise SettingError(f"{name}: invalid value {raw!r} (choose from {CONTEXT}, {EMBEDDED})")
    for value in raw if option.kind == "list" else [raw]:
        if value and (complaint := option.complaint(value)):
            raise SettingError(f"{name}: {complaint}")
    if option.kind == "list":
        return tuple(value for value in raw if value)
    if not raw:
        raise SettingError(f"{name}: empty value; give one or omit the option")
    return raw


def _switched(name: str, raw: bool | str) -> bool:  # noqa: FBT001  # the value itself, as pytest hands it over
    word = str(raw).lower()
    if word not in TRUE | FALSE:
        raise SettingError(f"{name}: invalid value {raw!r} (choose from true, false)")
    return word in TRUE


def _factor(name: str, raw: str) -> float:
    try:
        factor = float(raw)
    except ValueError:
        factor = math.nan
    if not (math.isfinite(factor) and factor > 0):
        raise SettingError(f"{name}: invalid value {raw!r}: use a number above 0, such as 2 or 0.5")
    return factor


def _check_consistent(read: Settings) -> None:
    """Refuse settings of the other target, unless the target comes from a place that overrides theirs."""
    chosen = PLACES.index(read.places["target"])
    for option in OPTIONS:
        place = read.places[option.name]
        belongs = option.only_for in (None, read.target)
        if belongs or getattr(read, option.name) == option.default or PLACES.index(place) < chosen:
            continue
        raise SettingError(
            f"{option.name_in(place)} ({place}) requires the {option.only_for} target, but the target is {read.target} "
            f"({read.places['target']}): add --istio-egress-target {option.only_for}, or omit the option"
        )
    if read.prepared and read.allow_mesh_wide:
        raise SettingError(
            "--istio-egress-prepared and --istio-egress-allow-mesh-wide cannot be combined: other runs do not see one "
            "with prepared namespaces, and would restore the mesh configuration that it has changed"
        )
