"""Settings of istiod that change what is documented: environment variables that differ from their default."""

from __future__ import annotations

from pytest_istio_egress.cluster.facts.objects import Object
from pytest_istio_egress.cluster.facts.revisions import environment
from pytest_istio_egress.model.mesh_facts import DEFAULT_SETTINGS, ISTIOD_SETTINGS


def istiod_settings(istiod: Object | None) -> str:
    """Return the settings among ISTIOD_SETTINGS that differ from the default, as `NAME=true NAME=false`."""
    variables = environment(istiod)
    values = {name: _truth(variables.get(name, "")) for name in ISTIOD_SETTINGS}
    changed = {name: value for name, value in values.items() if value not in (None, ISTIOD_SETTINGS[name])}
    return " ".join(f"{name}={str(value).lower()}" for name, value in changed.items()) or DEFAULT_SETTINGS


def _truth(value: str) -> bool | None:
    """Return a boolean as Go reads it (strconv.ParseBool); None for other text, which istiod ignores."""
    if value in ("1", "t", "T", "true", "TRUE", "True"):
        return True
    return False if value in ("0", "f", "F", "false", "FALSE", "False") else None
