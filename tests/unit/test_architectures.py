"""No test, fixture or code is for one processor architecture; the embedded cluster names those that it runs on."""

import platform
import re
from pathlib import Path

import pytest

import pytest_istio_egress
from pytest_istio_egress.embedded import prerequisites
from pytest_istio_egress.embedded.errors import EmbeddedError
from pytest_istio_egress.suite.discovery import fixtures_folder, suite_folder

ARCHITECTURE = re.compile(r"\b(amd64|x86_64|x86-64|arm64|aarch64|s390x|ppc64le)\b|kubernetes\.io/arch")
PACKAGE = Path(pytest_istio_egress.__file__).parent


def test_only_the_embedded_cluster_knows_architectures() -> None:
    files = [file for folder in (PACKAGE, fixtures_folder(), suite_folder()) for file in folder.rglob("*")]
    sources = {file for file in files if file.suffix in (".py", ".yaml")}
    naming = {file for file in sources if ARCHITECTURE.search(file.read_text(encoding="utf-8"))}
    assert {file.relative_to(PACKAGE).parts[0] for file in naming} == {"embedded"}


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_embedded_cluster_runs_on_both_architectures(monkeypatch: pytest.MonkeyPatch, machine: str) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: machine)
    prerequisites._machine()


@pytest.mark.parametrize(("system", "machine"), [("Linux", "s390x"), ("Darwin", "arm64")])
def test_embedded_cluster_elsewhere_is_an_error_in_one_line(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    with pytest.raises(EmbeddedError) as raised:
        prerequisites._machine()
    assert f"runs on Linux on x86_64 or aarch64, not on {system} on {machine}" in str(raised.value)
