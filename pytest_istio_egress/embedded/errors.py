"""The one exception that leaves this package: one clear line, and the command that mends it."""


class EmbeddedError(Exception):
    """`str()` is one sentence (log lines may follow on lines of their own); `remedy` is a shell command, or None."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
