"""One setting: its names, its help, and the checks of its value."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from pytest_istio_egress.model.addresses import IPV4, IPV6
from pytest_istio_egress.model.mesh_facts import FACTS, MESH_GATEWAY, NO_GATEWAY, OWN_GATEWAY, MeshSidecar
from pytest_istio_egress.model.placement import toleration

CONTEXT = "context"
EMBEDDED = "embedded"
KUBECONFIG_HELP = "Kubeconfig file. Default: $KUBECONFIG or ~/.kube/config"
CONTEXT_HELP = "Kubeconfig context. Default: the current context"

Complaint = Callable[[str], str]
"""Returns why a value is invalid, empty where it is valid."""
_KEY = "option"
_LABEL_KEY = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_PREPARED = re.compile(r"[a-z]([a-z0-9-]{0,28}[a-z0-9])?")
_REGISTRY = re.compile(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[0-9]+)?(/[a-z0-9]+([._-]+[a-z0-9]+)*)*")
_RESOURCE = re.compile(r"(requests|limits)\.[a-z0-9./-]+=[0-9.]+[A-Za-z0-9]*")


@dataclass(frozen=True, kw_only=True)
class Option:
    """One setting under its three names: `--istio-egress-x-y`, `istio_egress_x_y`, `ISTIO_EGRESS_X_Y`."""

    name: str
    help: str
    kind: Literal["text", "target", "path", "flag", "factor", "list"] = "text"
    """A "list" can be given several times; it has one value per line in an ini file, and blanks between values in the
    environment."""
    metavar: str | None = None
    default: Any = None
    only_for: str | None = None
    """The target that the setting belongs to, None for both."""
    complaint: Complaint = lambda _: ""
    """The check of a value, for a list of each of its values."""

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

    def name_in(self, place: str) -> str:
        """Return the name in one of options.PLACES."""
        return {"ini": self.ini, "environment": self.variable}.get(place, self.flag)


def option(*, default: Any = None, **attributes: Any) -> Any:
    """Return a dataclass field that is an Option; the attributes are those of Option, its name is the field's."""
    return dataclasses.field(default=default, metadata={_KEY: {"default": default, **attributes}})


def options_of(settings: type) -> tuple[Option, ...]:
    """Return the options that a dataclass declares, in the order of its fields."""
    fields = dataclasses.fields(settings)
    return tuple(Option(name=field.name, **field.metadata[_KEY]) for field in fields if _KEY in field.metadata)


def key_value(keys: Iterable[str] | None = None, noun: str = "key") -> Complaint:
    """Check for KEY=VALUE; the key must be one of `keys`, where given, and the value must not be empty then."""

    def complaint(value: str) -> str:
        key, equals, rest = value.partition("=")
        if keys is not None and key not in keys:
            return f"unknown {noun} {key!r} (choose from {', '.join(keys)})"
        placeholder = "KEY=VALUE" if keys is None else "NAME=VALUE"
        return "" if key and equals and (rest or keys is None) else f"invalid value {value!r}: use {placeholder}"

    return complaint


def one_of(choices: Iterable[str], noun: str) -> Complaint:
    """Check that a value is one of some choices."""
    return lambda value: "" if value in choices else f"unknown {noun} {value!r} (choose from {', '.join(choices)})"


def valid_fact(value: str) -> str:
    """Check a fact: NAME=VALUE, and the syntax of the facts that have one."""
    complaint = key_value(FACTS, "fact")(value)
    if not complaint and value.startswith("mesh-sidecar="):
        try:
            MeshSidecar.parse(value.partition("=")[2])
        except ValueError as error:
            return f"mesh-sidecar: {error}"
    if not complaint and value.startswith("ip-families="):
        families = value.partition("=")[2]
        if not {family.strip() for family in families.split(",")} <= {IPV4, IPV6}:
            return f"ip-families: invalid value {families!r}: use {IPV4}, {IPV6}, or both with a comma"
    return complaint


def valid_namespaced_name(value: str) -> str:
    """Check for NAMESPACE/NAME."""
    return "" if _is_namespaced(value) else f"invalid value {value!r}: use NAMESPACE/NAME"


def valid_prepared_name(value: str) -> str:
    """Check the name of prepared namespaces, which is a part of their names and of host names."""
    if _PREPARED.fullmatch(value):
        return ""
    return f"invalid name {value!r}: use up to 30 lower-case letters, digits and hyphens, a letter first"


def valid_gateway(value: str) -> str:
    """Check the name of an egress gateway."""
    if value in (MESH_GATEWAY, OWN_GATEWAY, NO_GATEWAY) or _is_namespaced(value):
        return ""
    return f"invalid value {value!r}: use NAMESPACE/SERVICE, {MESH_GATEWAY!r}, {OWN_GATEWAY!r} or {NO_GATEWAY!r}"


def valid_toleration(value: str) -> str:
    """Check a toleration."""
    try:
        toleration(value)
    except ValueError as error:
        return str(error)
    return ""


def valid_label(value: str) -> str:
    """Check a label: KEY=VALUE in the syntax of Kubernetes."""
    key, equals, text = value.partition("=")
    if equals and _LABEL_KEY.fullmatch(key) and _LABEL_VALUE.fullmatch(text):
        return ""
    return f"invalid label {value!r}: use KEY=VALUE, such as team=payments or example.com/owner=a"


def valid_annotation(value: str) -> str:
    """Check an annotation: KEY=VALUE with any text as the value."""
    key, equals, _ = value.partition("=")
    if equals and _LABEL_KEY.fullmatch(key):
        return ""
    return f"invalid annotation {value!r}: use KEY=VALUE, such as example.com/owner=team a"


def valid_registry(value: str) -> str:
    """Check a registry with or without a path."""
    if _REGISTRY.fullmatch(value):
        return ""
    return f"invalid value {value!r}: use HOST[:PORT][/PATH], such as registry.example/mirror"


def valid_resource(value: str) -> str:
    """Check a request or limit of a container."""
    if _RESOURCE.fullmatch(value):
        return ""
    return f"invalid value {value!r}: use requests.RESOURCE=AMOUNT or limits.RESOURCE=AMOUNT, such as limits.cpu=500m"


def _is_namespaced(value: str) -> bool:
    return value.count("/") == 1 and value.strip("/") == value
