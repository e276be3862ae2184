"""Settings of istiod that change what is documented: environment variables that differ from their default."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_istio_egress.model.mesh_facts import DEFAULT_SETTINGS, ISTIOD_SETTINGS


def istiod_settings(variables: Mapping[str, str]) -> str:
    """Return the settings among ISTIOD_SETTINGS that differ from the default, as `NAME=VALUE NAME=VALUE`."""
    values = {name: _value(name, variables.get(name, "")) for name in ISTIOD_SETTINGS}
    changed = {name: value for name, value in values.items() if value != ISTIOD_SETTINGS[name]}
    words = (f"{name}={str(value).lower() if isinstance(value, bool) else value}" for name, value in changed.items())
    return " ".join(words) or DEFAULT_SETTINGS


def _value(name: str, text: str) -> bool | str:
    """Return what istiod makes of a variable's text; the default where it is empty, or ignored."""
    default = ISTIOD_SETTINGS[name]
    if isinstance(default, str):
        return text or default
    truth = _truth(text)
    return default if truth is None else truth


def _truth(value: str) -> bool | None:
    """Return a boolean as Go reads it (strconv.ParseBool); None for other text, which istiod ignores."""
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    return False if value in ("0", "f", "F", "false", "FALSE", "False") else None
