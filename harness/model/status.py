"""The status of a run, in its manifest."""

from enum import StrEnum


class RunStatus(StrEnum):
    """A run's status, as its manifest has it."""

    RUNNING = "running"
    COMPLETE = "complete"
    """Every trial was played."""
    ABORTED = "aborted"
    """Ctrl-C, SIGTERM or SIGHUP; what was measured until then is kept."""
    FAILED = "failed"
    """A part of the stack could not start or died; what was measured until then is kept."""
    KILLED = "killed"
    """The manifest says `running`, but the process is gone. Never written; set when the manifest is read."""
