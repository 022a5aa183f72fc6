"""Writes a file that did not exist, for the commands that make one."""

from pathlib import Path

from harness.cli.terminal import echo
from harness.model.errors import UserError


def write_file(path: Path, text: str, *, force: bool = False, otherwise: str) -> None:
    """Write the file. An existing one is refused with what to do `otherwise`, unless `force`."""
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError("is there already", where=str(path), allowed=otherwise) from error
    except OSError as error:
        raise UserError(f"can't be written: {error.strerror}", where=str(path)) from error


def write_scenario(path: Path, text: str, *, force: bool = False, otherwise: str) -> None:
    """Write a scenario's file as `write_file` does, and say how to run it."""
    write_file(path, text, force=force, otherwise=otherwise)
    echo(f"{path} is written. To play it: coldstart run {path} --stack simulated")
