"""The lock of a run's folder: held by the process that writes the run, and by the system let go when that ends."""

import fcntl
import os
from pathlib import Path

LOCK = ".lock"


def hold(folder: Path, *, wait: bool = True) -> int | None:
    """Take the lock of a folder; its descriptor. None: this file system has no locks. Raises `OSError`.

    With `wait` False `BlockingIOError` is one of them: another process has it.
    """
    lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(lock)
        raise
    except OSError:
        # Without the file its readers go by the process id.
        os.close(lock)
        (folder / LOCK).unlink()
        return None
    return lock


def let_go(folder: Path, lock: int | None) -> None:
    """The run is written."""
    if lock is not None:
        (folder / LOCK).unlink(missing_ok=True)
        os.close(lock)


def is_held(folder: Path) -> bool | None:
    """Whether somebody holds the folder's lock. None: it has none."""
    try:
        lock = os.open(folder / LOCK, os.O_RDONLY)
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    finally:
        os.close(lock)
    return False
