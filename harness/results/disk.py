"""Writing results where it may fail: a full disk, a folder that is read-only, a path that can't be one."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.model.errors import StackError, UserError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO})
"""No space, over a quota, over a limit for one file, or a disk that fails: nothing that another path would mend."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn a failure to write to `path` into the error that speaks to people.

    Raises `StackError` when the disk is full or fails, and `UserError` for any other place that can't be written.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> StackError | UserError:
    """The error to raise for this failure to write to `path`."""
    # Arrow and matplotlib raise OSError with a text of their own.
    what = f"can't be written: {error.strerror or error}"
    if error.errno in FULL:
        return StackError(str(path), what)
    return UserError(what, where=str(path), allowed="a place that can be written")
