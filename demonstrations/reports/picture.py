"""Draws a command's terminal output as an SVG, such as README.md's.

python demonstrations/reports/picture.py docs/run.svg pytest --istio-egress ...
"""

from __future__ import annotations

import io
import os
import pty
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 110
ESCAPE_TO_LINE_START = "\r"


def output_of(command: list[str]) -> str:
    """Run a command on a pseudo terminal and return its output."""
    output = io.BytesIO()

    def read(descriptor: int) -> bytes:
        data = os.read(descriptor, 4096)
        output.write(data)
        return data

    os.environ.update(COLUMNS=str(WIDTH), LINES="50", TERM="xterm-256color")
    pty.spawn(command, read)
    return output.getvalue().decode(errors="replace")


def as_left_on_screen(output: str) -> str:
    """Return the lines as they are at the end: what was overwritten is removed."""
    lines = output.replace("\r\n", "\n").split("\n")
    return "\n".join(line.rsplit(ESCAPE_TO_LINE_START, 1)[-1] for line in lines)


def main() -> None:
    """Run a command and write the picture; the first argument is the file, the rest the command."""
    target, *command = sys.argv[1:]
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    output = as_left_on_screen(output_of(command)).replace(str(Path.cwd()), "~/checkout")
    console.print(Text.from_ansi(f"$ {' '.join(command)}\n" + output))
    Path(target).write_text(console.export_svg(title=" ".join(command[:2])), encoding="utf-8")


if __name__ == "__main__":
    main()
