"""What a process has computed so far, as Linux' scheduler counts it."""

from pathlib import Path


def cpu_s_of(process_id: int) -> float | None:
    """CPU seconds of a process's first thread, to the nanosecond while it waits; None where the system doesn't say.

    Source: the kernel's documentation, scheduler/sched-stats, "/proc/<pid>/schedstat": the first number. A process that
    computes at this moment has computed up to a tick (1 to 10 ms) more.
    """
    try:
        return int(Path(f"/proc/{process_id}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, ValueError, IndexError):
        return None
