"""The two errors that speak to people. Any other exception is a bug and may show its traceback."""

from pathlib import Path


class UserError(Exception):
    """Something a user can mend: what is wrong, where, and what is allowed. Exit status 2."""

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
        super().__init__(what)

    def __str__(self) -> str:
        line = f"{self.part}: {self.what}"
        return f"{line} (log: {self.log})" if self.log else line


class TrialDiedError(StackError):
    """A trial whose process died, and died again when it was played once more. The other trials are not touched."""
