"""A file of SQL, carried out by PostgreSQL's own psql, so that a dump's COPY data and commands work too."""

import asyncio
import os
import re
from pathlib import Path

from harness.model.errors import UserError
from harness.postgres.binaries import binaries
from harness.postgres.server import PostgresServer

FAILED = re.compile(r"^psql:.*?:(?P<line>\d+): (?:ERROR|FATAL|error):\s+(?:(?P<sqlstate>[0-9A-Z]{5}): )?(?P<why>.*)$")
"""With VERBOSITY=verbose; `line` is where the statement ends."""
POSITION = re.compile(r"^LINE (?P<line>\d+): ")
"""Of the statement."""
STATEMENT = re.compile(r"^psql:.*?:\d+: STATEMENT:  (?P<text>.*)$", re.MULTILINE | re.DOTALL)


def check_script(path: Path) -> None:
    """Raises `UserError` when the file can't be read, or when there is no psql to carry it out."""
    try:
        path.read_bytes()
    except OSError as error:
        raise UserError(f"can't be read: {error.strerror}", where=str(path)) from error
    found = binaries()
    if not os.access(found.psql, os.X_OK):
        raise UserError("needs psql, which is not beside postgres", where=str(path), allowed=f"psql in {found.folder}")


async def run_script(server: PostgresServer, path: Path) -> None:
    """Carry out a file's statements, one after the other. Raises `UserError` for the first that fails.

    It says the line, the SQLSTATE and PostgreSQL's message. What came before it has happened.
    """
    argv = [
        str(binaries().psql), "--no-psqlrc", "--quiet", "--echo-errors", "--set=ON_ERROR_STOP=1",
        "--set=VERBOSITY=verbose", f"--file={path}",
    ]  # fmt: skip
    # Nothing of the user's own PostgreSQL settings, and messages that can be read.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={**environment, **server.environment, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8"},
    )
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode:
        raise failure(said.decode(errors="replace"), path)


def failure(said: str, path: Path) -> UserError:
    """What psql said about a statement that failed, in one line."""
    lines = said.strip().splitlines() or ["psql ended without a word"]
    failed = next((match for line in lines if (match := FAILED.match(line))), None)
    if failed is None:
        return UserError(lines[-1], where=str(path))
    statement = STATEMENT.search(said)
    position = next((match for line in lines if (match := POSITION.match(line))), None)
    line = _line(
        path,
        ends_at=int(failed["line"]),
        statement=statement["text"].rstrip("\n").splitlines() if statement else [],
        position=int(position["line"]) if position else 1,
    )
    why = f"{failed['sqlstate']}: {failed['why']}" if failed["sqlstate"] else failed["why"]
    return UserError(why, where=f"{path}, line {line}")


def _line(path: Path, *, ends_at: int, statement: list[str], position: int) -> int:
    """The file's line of a statement's line: psql leaves empty lines out of what it sends."""
    in_file = path.read_text(errors="replace").splitlines()[:ends_at]
    line = ends_at
    for text in reversed(statement[position:]):
        while text.strip() and line > 1 and not in_file[line - 1].strip():
            line -= 1
        line -= 1
    while line > 1 and line <= len(in_file) and not in_file[line - 1].strip():
        line -= 1
    return max(line, 1)
