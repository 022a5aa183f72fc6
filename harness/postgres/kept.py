"""A database that is kept: a folder of the user's, with the data, the password, and a lock that only one server has.

FOLDER/coldstart.lock   held by whoever's server runs on the data; its presence says that the folder is ours
FOLDER/data             PostgreSQL's own folder, of the account that the server runs as
FOLDER/password         mode 0600; written when everything is in it
FOLDER/unfinished       until then: what a start that was killed has left is made anew
"""

import asyncio
import fcntl
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import UserError
from harness.postgres.folder import UNPRIVILEGED, Account, account, is_passable

LOCK = "coldstart.lock"
DATA = "data"
UNFINISHED = "unfinished"
PASSWORD = "password"  # noqa: S105 - a file's name
BUSY_S = 2.0
"""How long a server that is just ending may still have the folder."""
POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class KeptFolder:
    """The folder, while it is ours."""

    path: Path
    lock: int
    """A descriptor; whoever has inherited it has the folder too."""

    @property
    def data(self) -> Path:
        return self.path / DATA

    @property
    def password_file(self) -> Path:
        return self.path / PASSWORD

    @property
    def is_finished(self) -> bool:
        """Whether a database was made here, its schema included."""
        return self.password_file.is_file()

    def finish(self, password: str) -> None:
        """The database is made: from now on it is reused. Raises `UserError` when the folder can't be written."""
        unfinished = self.path / f"{PASSWORD}.new"
        try:
            unfinished.unlink(missing_ok=True)
            unfinished.touch(mode=0o600)
            unfinished.write_text(password, encoding="ascii")
            unfinished.rename(self.password_file)
            (self.path / UNFINISHED).unlink(missing_ok=True)
        except OSError as error:
            raise _unusable(self.path, error) from error


@asynccontextmanager
async def kept_folder(path: Path) -> AsyncIterator[KeptFolder]:
    """This folder, made if it is not there, for one server at a time.

    Raises `UserError` when another server has it, when it has other things in it, or when the server can't use it.
    """
    try:
        path, lock, is_made = _opened(path)
    except OSError as error:
        raise _unusable(path, error) from error
    kept = KeptFolder(path, lock)
    is_ours = False
    try:
        await _take(lock, path)
        _check_password(kept)
        is_ours = True
        _check_reachable(path, account())
        if not kept.is_finished:
            _begin(kept)
        yield kept
    finally:
        if is_ours and not kept.is_finished:
            _remove(kept, folder_too=is_made)
        os.close(lock)


def _remove(kept: KeptFolder, *, folder_too: bool) -> None:
    """What was never finished: nothing of ours is left in the folder."""
    shutil.rmtree(kept.data, ignore_errors=True)
    for name in (UNFINISHED, LOCK):
        (kept.path / name).unlink(missing_ok=True)
    if folder_too:
        with suppress(OSError):
            kept.path.rmdir()


def _opened(path: Path) -> tuple[Path, int, bool]:
    """Its absolute path, its lock, and whether it was made."""
    path = path.absolute()
    is_made = not path.exists()
    if is_made:
        path.mkdir(mode=0o700)
        if account().uid is not None:
            # The server's account goes through it to its data.
            path.chmod(0o711)
    elif path.is_dir() and not (path / LOCK).exists() and any(path.iterdir()):
        raise UserError(
            "has other files in it", where=f"data folder {path}", allowed="an empty folder, or one made by coldstart up"
        )
    return path, os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o600), is_made


async def _take(lock: int, path: Path) -> None:
    patient_until_s = asyncio.get_running_loop().time() + BUSY_S
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if asyncio.get_running_loop().time() > patient_until_s:
                where = f"data folder {path}"
                raise UserError("another coldstart up is running on it", where=where, allowed="one at a time") from None
            await asyncio.sleep(POLL_S)
        else:
            return


def _check_password(kept: KeptFolder) -> None:
    if kept.data.exists() and not kept.is_finished and not (kept.path / UNFINISHED).exists():
        raise UserError(
            f"has data, but its file {PASSWORD!r} is gone", where=f"data folder {kept.path}", allowed="another folder"
        )


def _begin(kept: KeptFolder) -> None:
    try:
        (kept.path / UNFINISHED).touch(mode=0o600)
    except OSError as error:
        raise _unusable(kept.path, error) from error


def _check_reachable(path: Path, owner: Account) -> None:
    if owner.uid is None or is_passable(path.resolve()):
        return
    raise UserError(
        f"is closed to the account {UNPRIVILEGED}, as which root's server runs",
        where=f"data folder {path}",
        allowed="one that others may pass through (chmod o+x), the folders above it too",
    )


def _unusable(path: Path, error: OSError) -> UserError:
    return UserError(f"can't be used: {error.strerror}", where=f"data folder {path}")
