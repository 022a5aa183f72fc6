"""Turns failures to write results (a full disk, a read-only folder, an impossible path) into clear errors."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.model.errors import StackError, UserError

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""No space, a quota or file size limit, a failing disk, no more files or memory: another path would not help."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn an `OSError` while writing to `path` into an error with a message for the user.

    Raises `StackError` when the disk is full or fails, and `UserError` for any other place that can't be written.
    """
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: Exception) -> StackError | UserError:
    """The error to raise for this failure to write to `path`."""
    if isinstance(error, MemoryError):
        return StackError(str(path), "can't be written: out of memory")
    if not isinstance(error, OSError):
        # A library's own: pyarrow's, which got no thread.
        return StackError(str(path), f"can't be written: {' '.join(str(error).split())}")
    # Arrow and matplotlib raise OSError with their own text and no strerror.
    what = f"can't be written: {error.strerror or error}"
    if error.errno in FULL:
        return StackError(str(path), what)
    return UserError(what, where=str(path), allowed="a place that can be written")
