"""A recording's file: JSON lines, readable by its owner alone, because it may hold production data."""

import os
from pathlib import Path

from harness.model.errors import UserError
from harness.recording.lines import from_lines, to_lines
from harness.recording.model import Recording

MODE = 0o600


def write(recording: Recording, path: Path) -> None:
    """Write it, in place of any file that was there: whole, or not at all. Raises `UserError` where that can't be."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Made with its mode: at no moment can somebody else open it.
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        try:
            with open(descriptor, "w", encoding="utf-8", newline="\n") as file:  # noqa: PTH123 - of a descriptor
                file.writelines(to_lines(recording))
            beside.replace(path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UserError(
            f"the recording can't be written: {error.strerror}",
            where=str(path),
            allowed="a file in a folder to write to",
        ) from error


def read(path: Path) -> Recording:
    """Read one. Raises `UserError`: what is wrong, the file and the line, and what is allowed."""
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            return from_lines(file, where=str(path))
    except OSError as error:
        raise UserError(
            f"the recording can't be read: {error.strerror}", where=str(path), allowed="a file of `coldstart record`"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            "cut off or damaged: no UTF-8", where=str(path), allowed="a file of `coldstart record`"
        ) from error
