"""A report is written as a whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pytest_istio_egress.report.atomic_write import NotWrittenError, append, problem_of_path, write_whole


def test_file_is_written_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "new" / "report.yaml"
    write_whole(path, "one")
    write_whole(path, "two")
    assert path.read_text() == "two"
    assert [file.name for file in path.parent.iterdir()] == ["report.yaml"]
    mask = os.umask(0)
    os.umask(mask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~mask


def test_failed_write_leaves_the_older_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "report.yaml"
    path.write_text("before")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWrittenError, match="No space left"):
        write_whole(path, "after")
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["report.yaml"]


def test_device_is_written_to_not_replaced() -> None:
    with pytest.raises(NotWrittenError, match="No space left"):
        write_whole(Path("/dev/full"), "x" * 100)
    assert Path("/dev/full").is_char_device()


def test_symbolic_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_whole(tmp_path / "link", "x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "x"


def test_unwritable_paths_have_a_problem(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert problem_of_path(tmp_path)
    assert problem_of_path(tmp_path / "file" / "report.yaml")
    assert problem_of_path(tmp_path / "a" / "b") is None
    assert not (tmp_path / "a").exists()
    for path in (tmp_path, tmp_path / "file" / "x"):
        with pytest.raises(NotWrittenError, match=path.name):
            write_whole(path, "x")
        with pytest.raises(NotWrittenError):
            append(path, "x")
