"""The errors whose messages are for users. Any other exception is a bug and may show its traceback."""

from pathlib import Path


class UserError(Exception):
    """An error that the user can correct: what is wrong, where, and what is allowed. Exit status 2."""

    def __init__(self, what: str, *, where: str | None = None, allowed: str | None = None) -> None:
        self.what = what
        self.where = where
        self.allowed = allowed
        super().__init__(what)

    def __str__(self) -> str:
        line = f"{self.where}: {self.what}" if self.where else self.what
        return f"{line} (allowed: {self.allowed})" if self.allowed else line


class StackError(Exception):
    """A part of a stack that could not start or that died: which part, why, where its log is. Exit status 3."""

    def __init__(self, part: str, what: str, *, log: Path | None = None) -> None:
        self.part = part
        self.what = what
        self.log = log
        # Both, so that it can be pickled: it may come from another machine.
        super().__init__(part, what)

    def __str__(self) -> str:
        line = f"{self.part}: {self.what}"
        return f"{line} (log: {self.log})" if self.log else line


class TrialDiedError(StackError):
    """A trial whose process died, and died again in a second try. The other trials are not affected."""
