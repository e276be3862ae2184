"""A program of the user's own in the cluster: the hash of its file, and what it prints when it is run here."""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from pathlib import Path

from pytest_istio_egress.embedded.errors import EmbeddedError


@dataclass(frozen=True)
class UserBinary:
    """The file of a program, and the words of the errors about it."""

    path: Path
    what: str
    """What the user calls it: `proxy binary`."""
    wanted: str
    """What to use instead: `use an Envoy binary for this machine`."""
    asks: str
    """The argument with which a user can see for himself: `--version`."""
    patience: float
    """Seconds until it must have ended."""

    def fingerprint(self) -> str:
        """Return a hash of the content. Raises EmbeddedError where the path is not a file."""
        if not self.path.is_file():
            raise EmbeddedError(f"{self} is not a file: {self.wanted}")
        with self.path.open("rb") as content:
            return hashlib.file_digest(content, "sha256").hexdigest()[:16]

    def output(self, *arguments: str) -> str:
        """Run it, and return what it prints, whatever its exit code. Raises EmbeddedError where it cannot be run."""
        try:
            done = subprocess.run(
                [str(self.path), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                timeout=self.patience,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            why = getattr(error, "strerror", None) or f"no response within {self.patience:.0f} s"
            raise self.error(f"cannot be run ({why})") from error
        return done.stdout

    def error(self, problem: str) -> EmbeddedError:
        """Return the error that says what to do about a problem."""
        return EmbeddedError(f"{self} {problem}: {self.wanted}", f"{self.path} {self.asks}")

    def __str__(self) -> str:
        """Return what the errors begin with."""
        return f"{self.what} {str(self.path)!r}"
