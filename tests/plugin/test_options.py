"""Every setting can be given in three places; the nearest one applies, and contradictions are errors of one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_istio_egress.settings.options import OPTIONS, Option, SettingError, Settings, settings

SAMPLES = {"text": "sample", "target": "embedded", "path": "sample/config", "flag": "true", "factor": "2.5"}
OF_OPTION = {
    "gateway": "tenants/exit",
    "fact": "trust-domain=corp.example",
    "require": "gateway-api",
    "profile": "core",
    "fail_unsteady": "all",
    "image": "curl=registry.example/curl:1",
    "image_registry": "registry.example:5000/mirror",
    "pull_secret": "images/pull",
    "node_selector": "pool=mesh",
    "toleration": "pool=mesh:NoSchedule",
    "label": "team=payments",
    "annotation": "example.com/owner=a",
    "resource": "limits.cpu=500m",
    "user_ids": "assigned",
    "ip_family": "ipv6",
    "data_plane": "ambient",
}
"""Samples of the settings whose values are checked."""


def read(pytester: pytest.Pytester, *arguments: str) -> Settings:
    return settings(pytester.parseconfig("--istio-egress", *arguments))


def fitting_target(option: Option) -> list[str]:
    return ["--istio-egress-target", option.only_for] if option.only_for else []


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_three_places(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, option: Option) -> None:
    word = OF_OPTION.get(option.name) or SAMPLES[option.kind]
    target = fitting_target(option)
    untouched = read(pytester, *target)
    assert getattr(untouched, option.name) == option.default
    assert untouched.places[option.name] == "default"

    given = read(pytester, *target, option.flag, *([] if option.kind == "flag" else [word]))
    assert given.places[option.name] == "command line"
    assert getattr(given, option.name) != option.default

    monkeypatch.setenv(option.variable, word)
    from_environment = read(pytester, *target)
    assert from_environment.places[option.name] == "environment"
    monkeypatch.delenv(option.variable)

    pytester.makeini(f"[pytest]\n{option.ini} = {word}\n")
    written = read(pytester, *target)
    assert written.places[option.name] == "ini"
    values = {getattr(found, option.name) for found in (given, from_environment, written)}
    assert len(values) == 1


def test_nearest_place_wins(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\nistio_egress_timeout_scale = 2\n")
    assert read(pytester).timeout_scale == 2
    monkeypatch.setenv("ISTIO_EGRESS_TIMEOUT_SCALE", "3")
    assert read(pytester).timeout_scale == 3
    assert read(pytester, "--istio-egress-timeout-scale", "4").timeout_scale == 4


def test_flag_switched_off_in_the_environment(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\nistio_egress_allow_mesh_wide = true\n")
    monkeypatch.setenv("ISTIO_EGRESS_ALLOW_MESH_WIDE", "no")
    assert read(pytester).allow_mesh_wide is False


def test_a_list_has_a_line_each_in_a_file_and_spaces_in_the_environment(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = ("gateway-api", "egress-gateway")
    options = [word for feature in wanted for word in ("--istio-egress-require", feature)]
    assert read(pytester, *options).require == wanted
    monkeypatch.setenv("ISTIO_EGRESS_REQUIRE", " ".join(wanted))
    assert read(pytester).require == wanted
    monkeypatch.delenv("ISTIO_EGRESS_REQUIRE")
    pytester.makeini("[pytest]\nistio_egress_require =\n  gateway-api\n  egress-gateway\n")
    assert read(pytester).require == wanted


def test_native_toml(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml('[tool.pytest]\nistio_egress_allow_mesh_wide = true\nistio_egress_context = "a"\n')
    found = read(pytester)
    assert found.allow_mesh_wide is True
    assert found.context == "a"


def test_kubeconfig_of_an_ini_file_is_beside_it(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeini("[pytest]\nistio_egress_kubeconfig = deploy/config\n")
    below = pytester.mkdir("below")
    monkeypatch.chdir(below)
    assert read(pytester).kubeconfig == pytester.path / "deploy" / "config"
    assert read(pytester, "--istio-egress-kubeconfig", "config").kubeconfig == below / "config"
    monkeypatch.setenv("HOME", "/home/of")
    assert read(pytester, "--istio-egress-kubeconfig", "~/config").kubeconfig == Path("/home/of/config")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--istio-egress-timeout-scale", "fast"], ["--istio-egress-timeout-scale", "'fast'"]),
        (["--istio-egress-timeout-scale", "0"], ["--istio-egress-timeout-scale", "'0'"]),
        (["--istio-egress-timeout-scale", "nan"], ["'nan'"]),
        (["--istio-egress-timeout-scale", "inf"], ["'inf'"]),
        (["--istio-egress-target", "kind"], ["--istio-egress-target", "'kind'", "embedded"]),
        (["--istio-egress-context", ""], ["--istio-egress-context"]),
        (["--istio-egress-envoy", "1.36.4"], ["--istio-egress-envoy", "--istio-egress-target embedded"]),
        (["--istio-egress-keep-cluster"], ["--istio-egress-keep-cluster", "embedded"]),
        (["--istio-egress-target=embedded", "--istio-egress-context=prod"], ["--istio-egress-context", "context"]),
        (["--istio-egress-target=embedded", "--istio-egress-kubeconfig=x"], ["--istio-egress-kubeconfig"]),
        (["--istio-egress-require", "egress-gatway"], ["--istio-egress-require", "'egress-gatway'", "egress-gateway"]),
        (["--istio-egress-fact", "outbound=ALLOW_ANY"], ["--istio-egress-fact", "'outbound'", "outbound-mode"]),
        (["--istio-egress-fact", "trust-domain"], ["NAME=VALUE"]),
        (["--istio-egress-fact", "mesh-sidecar=*/*"], ["--istio-egress-fact: mesh-sidecar", "NAME: hosts HOST"]),
        (["--istio-egress-gateway", "exit"], ["--istio-egress-gateway", "NAMESPACE/SERVICE"]),
        (["--istio-egress-profile", "most"], ["'most'", "core, extended, all"]),
        (["--istio-egress-image", "nginx=x"], ["'nginx'", "nginx-unprivileged"]),
        (["--istio-egress-pull-secret", "pull"], ["NAMESPACE/NAME"]),
        (["--istio-egress-node-selector", "pool"], ["KEY=VALUE"]),
        (["--istio-egress-toleration", "a=b:Never"], ["'a=b:Never'", "NoSchedule"]),
    ],
)
def test_refused(pytester: pytest.Pytester, arguments: list[str], told: list[str]) -> None:
    with pytest.raises(SettingError) as refused:
        read(pytester, *arguments)
    message = str(refused.value)
    assert "\n" not in message
    assert all(word in message for word in told)


@pytest.mark.parametrize(
    ("toml", "name"),
    [
        ("istio_egress_timeout_scale = 2.5", "istio_egress_timeout_scale"),
        ('istio_egress_keep_cluster = "maybe"', "istio_egress_keep_cluster"),
        ('istio_egress_target = "kind"', "istio_egress_target"),
    ],
)
def test_refused_in_a_file(pytester: pytest.Pytester, toml: str, name: str) -> None:
    pytester.makepyprojecttoml(f"[tool.pytest]\n{toml}\n")
    # A value of the wrong type is refused by pytest itself, in its newer versions.
    with pytest.raises((SettingError, pytest.UsageError), match=name):
        read(pytester)


def test_what_stands_further_off_is_overruled_not_refused(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nistio_egress_target = embedded\nistio_egress_envoy = 1.36.4\n")
    assert read(pytester).envoy == "1.36.4"
    assert read(pytester, "--istio-egress-target", "context").target == "context"
    with pytest.raises(SettingError, match="--istio-egress-context"):
        read(pytester, "--istio-egress-context", "prod")


def test_prepared_namespaces_and_mesh_wide_tests_exclude_each_other(pytester: pytest.Pytester) -> None:
    with pytest.raises(SettingError, match="cannot be combined"):
        read(pytester, "--istio-egress-prepared", "team-a", "--istio-egress-allow-mesh-wide")


def test_refusal_is_a_usage_error(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--istio-egress", "--istio-egress-timeout-scale", "-1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [line for line in result.errlines if "ERROR: " in line]


def test_setting_without_the_switch(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--istio-egress-target", "embedded")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --istio-egress-target * --istio-egress*"])


def test_help_names_every_setting(pytester: pytest.Pytester) -> None:
    said = pytester.runpytest_subprocess("--istio-egress", "--help").stdout.str()
    for option in OPTIONS:
        assert option.flag in said
        assert option.ini in said
