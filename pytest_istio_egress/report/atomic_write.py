"""Writes a report as a whole or not at all; a failure is an error of one line."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


class NotWrittenError(Exception):
    """A report could not be written; the message is one line: path, reason, remedy."""


def write_whole(path: Path, text: str) -> None:
    """Write a file atomically; raises NotWrittenError.

    A path that is not a regular file (a terminal, /dev/stdout, a pipe) is written to, never replaced.
    """
    try:
        target = path.resolve()
        if target.exists() and not target.is_file():
            target.write_text(text, encoding="utf-8")
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, text)
    except OSError as error:
        raise NotWrittenError(
            f"cannot write {path}: {error.strerror or error}; choose another path, or free some space"
        ) from error


def append(path: Path, text: str) -> None:
    """Add text to the end of a file; raises NotWrittenError."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise NotWrittenError(f"cannot append to {path}: {error.strerror or error}") from error


def problem_of_path(path: Path) -> str | None:
    """Return why a report cannot be written there, None where it can; changes nothing."""
    if path.is_dir():
        return "it is a folder"
    folder = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if folder is None or not folder.is_dir():
        return f"{folder} is not a folder"
    return None if os.access(folder, os.W_OK) else f"the folder {folder} is not writable"


def _replace(target: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        Path(name).chmod(0o666 & ~mask)
        Path(name).replace(target)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(name).unlink()
        raise
