"""A certificate authority of the user's is copied into a container once, whole, and only if it is one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from fake_cluster import POD

from pytest_istio_egress.cluster import authority
from pytest_istio_egress.cluster.api import Api, ClusterError
from pytest_istio_egress.cluster.authority import LARGEST, Authorities
from pytest_istio_egress.cluster.exec_connection import CommandResult
from pytest_istio_egress.cluster.pods import Pod
from pytest_istio_egress.model.case import InvalidTestError

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


class Shell:
    """Executes the copying commands in a container without files: `files` are what they wrote, by pod and path."""

    def __init__(self, exit: int = 0) -> None:  # noqa: A002  # the shell's word
        self.files: dict[tuple[str, str], str] = {}
        self.exit = exit
        self.commands = 0

    def run(self, _: Api, pod: Pod, command: Sequence[str]) -> CommandResult:
        self.commands += 1
        redirect, path = command[2].split(" ")[-2:]
        key = pod.container, path
        self.files[key] = (self.files.get(key, "") if redirect == ">>" else "") + command[4]
        return CommandResult(stdout="", stderr="sh: not found", exit=self.exit)


@pytest.fixture
def shell(monkeypatch: pytest.MonkeyPatch) -> Shell:
    shell = Shell()
    monkeypatch.setattr(authority, "run", shell.run)
    return shell


@pytest.fixture
def authorities() -> Authorities:
    return Authorities(cast(Any, None))


def company(folder: Path, text: str = PEM) -> Path:
    file = folder / "company.pem"
    file.write_text(text)
    return file


def test_authority_is_copied_once_per_container(authorities: Authorities, shell: Shell, tmp_path: Path) -> None:
    path = authorities.path(POD, company(tmp_path))
    assert authorities.path(POD, company(tmp_path)) == path
    assert shell.files == {("curl", path): PEM}
    assert shell.commands == 1
    assert authorities.path(replace(POD, container="istio-egress-1"), company(tmp_path)) == path
    assert shell.commands == 2


def test_changed_authority_is_another_file(authorities: Authorities, shell: Shell, tmp_path: Path) -> None:
    first = authorities.path(POD, company(tmp_path))
    second = authorities.path(POD, company(tmp_path, PEM * 2))
    assert first != second
    assert hashlib.sha256(PEM.encode()).hexdigest()[:12] in first
    assert shell.files["curl", second] == PEM * 2


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_text_around_certificates_is_left_out_in_any_encoding(
    authorities: Authorities, shell: Shell, tmp_path: Path, encoding: str
) -> None:
    file = tmp_path / "company.pem"
    file.write_bytes(f"# Zertifizierungsstelle für Köln\r\n{PEM}# Générée en été\n{PEM}".encode(encoding))
    path = authorities.path(POD, file)
    assert shell.files == {("curl", path): PEM * 2}


def test_long_bundle_is_copied_in_parts(authorities: Authorities, shell: Shell, tmp_path: Path) -> None:
    path = authorities.path(POD, company(tmp_path, PEM * 1000))
    assert shell.files["curl", path] == PEM * 1000
    assert shell.commands > 1


@pytest.mark.parametrize(
    "text", ["", "no certificate", PEM * (LARGEST // len(PEM) + 1)], ids=["empty", "text", "large"]
)
def test_file_without_certificates_is_an_error_of_the_test(
    authorities: Authorities, shell: Shell, tmp_path: Path, text: str
) -> None:
    with pytest.raises(InvalidTestError, match=r"company\.pem is not a CA file"):
        authorities.path(POD, company(tmp_path, text))
    assert shell.commands == 0


def test_missing_file_is_an_error_of_the_test(authorities: Authorities, tmp_path: Path) -> None:
    with pytest.raises(InvalidTestError, match=r"cannot read the CA file .*missing\.pem: .*No such file"):
        authorities.path(POD, tmp_path / "missing.pem")


def test_container_that_cannot_be_written_to_is_an_error(
    authorities: Authorities, shell: Shell, tmp_path: Path
) -> None:
    shell.exit = 126
    with pytest.raises(ClusterError, match=r"cannot write .* in sleep-1 -n n: sh: not found"):
        authorities.path(POD, company(tmp_path))
