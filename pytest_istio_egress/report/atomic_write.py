"""Puts a report on the disk: all of it or nothing, and one line where that can't be done."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path


class NotWrittenError(Exception):
    """A report could not be written; the message is one line that says where, why, and what to do."""


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody ever finds a part of it; raises NotWrittenError.

    What is no regular file (a terminal, /dev/stdout, a pipe) is written to, never replaced.
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
            f"{path} could not be written: {error.strerror or error}; name another place, or make room there"
        ) from error


def append(path: Path, text: str) -> None:
    """Add text to the end of a file; raises NotWrittenError."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise NotWrittenError(f"{path} could not be added to: {error.strerror or error}") from error


def why_not_writable(path: Path) -> str | None:
    """Return why a report can't come to lie there, None where nothing speaks against it; changes nothing."""
    if path.is_dir():
        return "it is a folder"
    folder = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if folder is None or not folder.is_dir():
        return f"{folder} is no folder"
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
