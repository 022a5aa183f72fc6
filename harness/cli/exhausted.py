"""What a machine can run out of, in one line: no bug of ours, wherever in the program it was noticed."""

import errno
from collections.abc import Iterator

LACKS = {
    errno.EMFILE: "too many open files: raise the limit (ulimit -n)",
    errno.ENFILE: "too many open files on this machine",
    errno.ENOMEM: "out of memory",
    errno.EAGAIN: "no more processes or threads can be started: raise the limit (ulimit -u)",
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk's quota is used up",
    errno.EFBIG: "a file would be larger than is allowed (ulimit -f)",
    errno.EIO: "the disk fails",
    errno.EROFS: "the disk is read-only",
    errno.ENETUNREACH: "loopback can't be reached: is its interface up (ip link set lo up)?",
    errno.ENETDOWN: "loopback is down (ip link set lo up)",
    errno.EADDRNOTAVAIL: "loopback has no address, or no port left",
}


def exhausted(error: BaseException) -> str | None:
    """What the machine lacks, where that is what an error (or one that caused it, or one of a group) says; or None."""
    for one in _with_causes(error):
        # A SystemError of these words: the interpreter itself got none, and lost the MemoryError that says so.
        if isinstance(one, MemoryError) or (isinstance(one, SystemError) and "without exception set" in str(one)):
            return f"this machine: {LACKS[errno.ENOMEM]}"
        # What Python raises where the system lets it start no thread, and where a library can't be mapped.
        if isinstance(one, RuntimeError) and "can't start new thread" in str(one):
            return f"this machine: {LACKS[errno.EAGAIN]}"
        if isinstance(one, ImportError) and ("failed to map" in str(one) or "cannot allocate" in str(one).lower()):
            return f"this machine: {LACKS[errno.ENOMEM]}"
        if isinstance(one, OSError) and one.errno in LACKS:
            where = f" ({one.filename})" if one.filename else ""
            return f"this machine: {LACKS[one.errno]}{where}"
    return None


def _with_causes(error: BaseException) -> Iterator[BaseException]:
    # Not what was being handled as it was raised (`__context__`): that may have nothing to do with it.
    one: BaseException | None = error
    while one is not None:
        yield one
        if isinstance(one, BaseExceptionGroup):
            for inner in one.exceptions:
                yield from _with_causes(inner)
        one = one.__cause__
