"""How a process ended, and why, as far as its status and its log say it."""

import signal
from pathlib import Path

REASON = "coldstart: "
"""How the line begins in which a process of ours says why it ends: what it has started may write after it."""
TAIL = 16 * 2**10
"""Bytes at the end of a log: a crash's traceback of every thread fits."""
FATAL = "Fatal Python error:"
BY_ITSELF = frozenset({signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL})
"""Signals of a crash. Any other comes from outside, and what a process had written before does not explain it."""


def how_ended(status: int) -> str:
    """A status as `subprocess` has it, in words."""
    return f"was killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def why_ended(status: int, log: Path) -> str:
    """The words of its log that explain the end: its own reason, a crash in faulthandler's words, or the last line.

    Empty: nothing does.
    """
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").strip().splitlines()
    crashes = [number for number, line in enumerate(lines) if line.startswith(FATAL)]
    if crashes:
        where = next((line.strip() for line in lines[crashes[-1] :] if line.startswith("  File ")), "")
        return ", ".join(filter(None, (lines[crashes[-1]].removeprefix(FATAL).strip(), where)))
    if status < 0 and -status not in BY_ITSELF:
        return ""
    if reasons := [line for line in lines if line.startswith(REASON)]:
        return reasons[-1].removeprefix(REASON).strip()
    return lines[-1].strip() if lines else ""
