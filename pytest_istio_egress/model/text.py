"""Errors and other messages as one line."""

from __future__ import annotations


def one_line(message: object) -> str:
    """Return a message without line breaks and repeated blanks; an exception without a message is its type's name."""
    line = " ".join(str(message).split())
    return line or (type(message).__name__ if isinstance(message, BaseException) else "")
