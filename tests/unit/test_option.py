"""The checks of values: one line in click's grammar for each invalid one."""

import pytest

from pytest_istio_egress.settings.option import (
    Complaint,
    Option,
    key_value,
    one_of,
    valid_fact,
    valid_gateway,
    valid_toleration,
)
from pytest_istio_egress.settings.option_table import OPTIONS, Settings

IMAGE = key_value(("curl", "envoy"), "image")
VALID: list[tuple[Complaint, str]] = [
    (valid_fact, "mesh-sidecar=none"),
    (valid_fact, "mesh-sidecar=default: hosts */*, outboundTrafficPolicy ALLOW_ANY"),
    (valid_fact, "outbound-mode=ALLOW_ANY"),
    (valid_fact, "ip-families=IPv6"),
    (valid_fact, "ip-families=IPv6, IPv4"),
    (valid_gateway, "own"),
    (valid_gateway, "none"),
    (valid_gateway, "tenants/exit"),
    (IMAGE, "curl=registry.example/curl:8"),
    (key_value(), "pool="),
    (valid_toleration, "pool=mesh:NoSchedule"),
    (one_of(("a", "b"), "letter"), "b"),
]
INVALID: list[tuple[Complaint, str, str]] = [
    (valid_fact, "mesh=none", r"unknown fact 'mesh' \(choose from istio, .*mesh-sidecar"),
    (valid_fact, "mesh-sidecar", "invalid value 'mesh-sidecar': use NAME=VALUE"),
    (valid_fact, "mesh-sidecar=*/*", "mesh-sidecar: invalid value '.*': use 'none' or 'NAME: hosts HOST ..., outbound"),
    (valid_fact, "ip-families=ipv6", "ip-families: invalid value 'ipv6': use IPv4, IPv6, or both with a comma"),
    (valid_gateway, "exit", "invalid value 'exit': use NAMESPACE/SERVICE, 'mesh', 'own' or 'none'"),
    (IMAGE, "nginx=x", r"unknown image 'nginx' \(choose from curl, envoy\)"),
    (IMAGE, "curl=", "invalid value 'curl=': use NAME=VALUE"),
    (key_value(), "pool", "invalid value 'pool': use KEY=VALUE"),
    (valid_toleration, "a=b:Never", r"invalid toleration 'a=b:Never': use KEY\[=VALUE\]\[:EFFECT\] .*NoSchedule"),
    (one_of(("a", "b"), "letter"), "c", r"unknown letter 'c' \(choose from a, b\)"),
]


@pytest.mark.parametrize(("complaint", "value"), VALID, ids=[value for _, value in VALID])
def test_valid_value_has_no_complaint(complaint: Complaint, value: str) -> None:
    assert complaint(value) == ""


@pytest.mark.parametrize(("complaint", "value", "line"), INVALID, ids=[value for _, value, _ in INVALID])
def test_invalid_value_has_a_complaint_in_one_line(complaint: Complaint, value: str, line: str) -> None:
    with pytest.raises(ValueError, match=f"^{line}") as raised:
        raise ValueError(complaint(value))
    assert "\n" not in str(raised.value)


def test_every_setting_but_places_is_an_option() -> None:
    assert {option.name for option in OPTIONS} == set(Settings.__dataclass_fields__) - {"places"}


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_help_starts_with_a_capital_and_has_no_final_full_stop(option: Option) -> None:
    assert option.help[0].isupper()

    assert not option.help.endswith(".")
