"""Which `coldstart up` are running: each has a private folder with its lock, its logs, and a file that says where.

The folder is in $XDG_RUNTIME_DIR, or else where temporary files are. No password is in it.
"""

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from harness.model.errors import StackError, UserError
from harness.postgres.folder import LOCK, locked_folder, prefix, sweep

PART = "up"
HOST = "127.0.0.1"
STATE = "state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningUp:
    """One that is running."""

    port: int
    """Where its clients connect."""
    api_port: int
    """Its proxy server's API, on loopback."""
    pid: int
    version: str | None = None
    """PostgreSQL's; None: it is not ours."""
    postgres_port: int | None = None
    """Where our PostgreSQL itself listens, on loopback; None: it is not ours."""

    @property
    def postgres(self) -> tuple[str, int] | None:
        return None if self.postgres_port is None else (HOST, self.postgres_port)


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder of one `up`, removed at the end. When a part has died its logs stay until the next start.

    Leftovers of killed ones are removed first. Raises `StackError` when none can be made.
    """
    places = _places()
    sweep(PART, places)
    try:
        folder, lock = locked_folder(places[0], PART)
    except OSError as error:
        raise StackError(PART, f"its folder can't be made: {error}") from error
    keep = False
    try:
        yield folder
    except StackError:
        keep = True
        raise
    finally:
        if keep:
            (folder / STATE).unlink(missing_ok=True)
        else:
            shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def announce(folder: Path, up: RunningUp) -> None:
    """Let other terminals find it."""
    unfinished = folder / f"{STATE}.new"
    unfinished.write_text(json.dumps(asdict(up)))
    unfinished.rename(folder / STATE)


def running() -> list[RunningUp]:
    """Those of this user that are running, by their ports. What a killed one has left is removed."""
    found = []
    for folder in (folder for place in _places() for folder in place.glob(f"{prefix(PART)}*")):
        # A folder without the file is one that is starting, or the logs of one that failed; another user's is not read.
        with suppress(OSError, ValueError, TypeError):
            if folder.stat().st_uid == os.geteuid():
                up = RunningUp(**json.loads((folder / STATE).read_text()))
                if _is_locked(folder):
                    found.append(up)
                else:
                    shutil.rmtree(folder, ignore_errors=True)
    return sorted(found, key=lambda up: up.port)


def the_running_one(port: int | None, *, option: str = "--port") -> RunningUp:
    """The one at this port, or the only one. Raises `UserError` when it can't be told, or when there is none.

    `option` is what names a port in the command that asks.
    """
    ups = running()
    chosen = [up for up in ups if port in (None, up.port)]
    if len(chosen) == 1:
        return chosen[0]
    ports = ", ".join(f"{option} {up.port}" for up in ups)
    if not ups:
        raise UserError("no coldstart up is running: start one in another terminal, coldstart up --wake 8")
    if not chosen:
        raise UserError(f"no coldstart up is running on port {port}", allowed=ports)
    raise UserError(f"{len(ups)} coldstart up are running", allowed=ports)


def _is_locked(folder: Path) -> bool:
    lock = os.open(folder / LOCK, os.O_RDWR)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _places() -> list[Path]:
    """Where such folders are; the first is where they are made."""
    temporary = Path(tempfile.gettempdir())
    named = os.environ.get("XDG_RUNTIME_DIR", "")
    private = Path(named)
    # After `su` the variable may still be the other user's.
    if named and private.is_dir() and private.stat().st_uid == os.geteuid() and os.access(private, os.W_OK):
        return [private, temporary]
    return [temporary]
