"""The System V segment of a PostgreSQL server: the one thing that a killed server leaves outside of its data folder.

It is 56 bytes, and proves to the next server on the same data that no process of an earlier one lives. Without a next
one it stays until the machine is restarted. (What else is shared is in the data folder: `dynamic_shared_memory_type`.)
"""

import ctypes
import sys
from pathlib import Path

PID_FILE = "postmaster.pid"
SEGMENT_LINE = 6
"""Line 7, counted from 1: its key and its id (PostgreSQL, miscadmin.h, LOCK_FILE_LINE_SHMEM_KEY)."""
IPC_RMID = 0
LIBC = None if sys.platform == "win32" else ctypes.CDLL(None, use_errno=True)


def remove_segment(data: Path) -> bool:
    """Remove the segment of the dead server that ran on these data; whether there was one.

    A server that ended in order has left neither the segment nor the file that names it. While a process is still
    attached, the system keeps the segment until that one has ended.
    """
    found = recorded_segment(data)
    if found is None or LIBC is None:
        return False
    key, segment = found
    # The id is used again for other segments: only where the key leads to it, it is the one that was recorded.
    if LIBC.shmget(ctypes.c_int(key), ctypes.c_size_t(0), 0) != segment:
        return False
    return bool(LIBC.shmctl(segment, IPC_RMID, None) == 0)


def recorded_segment(data: Path) -> tuple[int, int] | None:
    """The key and the id that a server has recorded in its data folder; None: there is no such record."""
    try:
        words = (data / PID_FILE).read_text().splitlines()[SEGMENT_LINE].split()
        return int(words[0]), int(words[1])
    except (OSError, ValueError, IndexError):
        return None
