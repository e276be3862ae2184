"""Only `egress` is a public fixture: fixtures of a user's conftest.py cannot replace the plugin's own."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from pathlib import Path

import pytest
from repository import Repository  # type: ignore[import-not-found]  # pytest puts this folder on the path

from pytest_istio_egress.plugin import fixtures

USERS_FIXTURES = "".join(
    f"""
@pytest.fixture(scope="session")
def {name}():
    return "the user's {name}"
"""
    for name in ("cluster", "mesh", "judge", "envoy_versions", "istio_egress_target", "api", "runner", "target")
)
USERS_TEST = """
from pytest_istio_egress.model.case import documented

@documented(source="x", summary="The user's own rule is followed", manifests=[])
def test_own(egress, cluster):
    assert cluster == "the user's cluster"
    egress.pod("sleep.egress-client")
"""
BOTH = pytest.mark.parametrize("more", [[], ["-n", "2"]], ids=["plain", "xdist"])


def test_every_fixture_but_egress_is_private() -> None:
    defined = [name for name, value in vars(fixtures).items() if isinstance(value, type(fixtures.egress))]
    assert len(defined) > 1
    assert [name for name in defined if not name.startswith("_istio_egress_")] == ["egress"]


def test_fixtures_of_a_run_with_the_plugin_are_private_too(repository: Repository) -> None:
    listed = repository.run("--istio-egress", "--fixtures", "-v").stdout.str()
    ours = [line.split()[0] for line in listed.splitlines() if "pytest_istio_egress" in line and " -- " in line]
    assert [name for name in ours if not name.startswith("_istio_egress_")] in ([], ["egress"])


@BOTH
def test_users_fixtures_do_not_affect_the_suite(repository: Repository, more: list[str]) -> None:
    repository.pytester.makeconftest("import pytest\n" + USERS_FIXTURES)
    repository.run("--istio-egress", "conformance/dns", *more).assert_outcomes(passed=1)


@BOTH
def test_egress_uses_the_plugins_fixtures_beside_a_users_of_the_same_name(
    repository: Repository, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plugin's own fixtures reach as far as the API server, which does not exist; a user's would fail before."""
    repository.pytester.makeconftest("import pytest\n" + USERS_FIXTURES)
    repository.pytester.makepyfile(test_own=USERS_TEST)
    monkeypatch.setenv("STAND_IN_FIXTURES", "real")
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))  # and does not listen
        server = f"http://127.0.0.1:{unused.getsockname()[1]}"
        monkeypatch.setenv("STAND_IN_KUBECONFIG", str(kubeconfig(repository.path / "kubeconfig", server)))
        result = repository.run("--istio-egress", "--istio-egress-timeout-scale", "0.01", "test_own.py", *more)
    result.assert_outcomes(errors=1)
    printed = result.stdout.str()
    assert "AttributeError" not in printed
    assert "test error (cluster problem, not an Istio deviation)" in printed
    assert server.rpartition(":")[2] in printed


def kubeconfig(path: Path, server: str) -> Path:
    name = "stand-in"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server}}],
        "users": [{"name": name, "user": {}}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
        "current-context": name,
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
