"""The one exception that leaves this package: one line, and the command that corrects the problem."""


class EmbeddedError(Exception):
    """`str()` is one sentence, after which lines of a log may follow; `remedy` is a shell command, or None."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.remedy = remedy
