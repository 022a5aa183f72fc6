"""How far a run has come, or how it ended: the `status` of its manifest."""

from enum import StrEnum


class RunStatus(StrEnum):
    """A run's status, as its manifest has it."""

    RUNNING = "running"
    COMPLETE = "complete"
    """Every trial was played."""
    ABORTED = "aborted"
    """Ctrl-C, or SIGTERM; what was measured until then is kept."""
    FAILED = "failed"
    """A part of the stack could not start or died; what was measured until then is kept."""
    KILLED = "killed"
    """It says `running` and its process is gone: nobody was left to write how it ended. Never written, only read."""
