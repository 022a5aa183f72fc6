"""A server's own folder: made for one run, owned by the account it runs as, swept when a kill left it behind."""

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwnam

from harness.model.errors import StackError
from harness.postgres.binaries import Binaries
from harness.postgres.shared_memory import remove_segment

LOCK = "lock"
DATA = "data"
"""PostgreSQL's own, in the folder of its part."""
REMOVE_LIMIT_S = 2.0
REMOVE_POLL_S = 0.02
UNPRIVILEGED = "nobody"
SHARED_PLACES = ("/tmp", "/var/tmp")  # noqa: S108 - the folder itself is made by mkdtemp
"""For root, when its own folder for temporary files is closed to everybody else."""


@dataclass(frozen=True, slots=True)
class Account:
    """Who the server runs as; None for the ids: whoever runs this."""

    uid: int | None = None
    gid: int | None = None

    @property
    def popen(self) -> dict[str, object]:
        """The arguments that make a subprocess run as this account."""
        return {} if self.uid is None else {"user": self.uid, "group": self.gid, "extra_groups": []}


def account() -> Account:
    """PostgreSQL refuses to run as root; `nobody` exists anyway, so no account has to be made."""
    if os.geteuid() != 0:
        return Account()
    nobody = getpwnam(UNPRIVILEGED)
    return Account(nobody.pw_uid, nobody.pw_gid)


@contextmanager
def server_folder(owner: Account, part: str = "postgres") -> Iterator[Path]:
    """A folder of the part's own, removed at the end. Leftovers of killed runs are removed first.

    Raises `StackError` when the folder for temporary files can't be written.
    """
    sweep(part)
    try:
        folder, lock = locked_folder(_place_for(owner, part), part)
    except OSError as error:
        raise StackError(part, f"its folder can't be made: {error}") from error
    try:
        if owner.uid is not None and owner.gid is not None:
            os.chown(folder, owner.uid, owner.gid)
        yield folder
    finally:
        _remove(folder)
        os.close(lock)


def locked_folder(place: Path, part: str) -> tuple[Path, int]:
    """A new folder and the descriptor that holds its lock. Raises `OSError`.

    The lock lives as long as this process: it tells a living run's folder from a leftover.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix(part), dir=place))
        lock = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Another run's sweep between the two lines above took it for a leftover: then the lock's name is gone.
        if os.fstat(lock).st_nlink:
            return folder, lock
        os.close(lock)


def sweep(part: str = "postgres", places: Sequence[Path] = ()) -> list[Path]:
    """Remove the folders whose run is gone; what was removed. Folders of living runs and of others are left alone.

    `places` are where a part's folders are made, unless it is where temporary files usually are.
    """
    swept = []
    for folder in (folder for place in places or _places() for folder in place.glob(f"{prefix(part)}*")):
        try:
            lock = os.open(folder / LOCK, os.O_RDWR)
        except OSError:
            # Being made at this moment, or somebody else's.
            continue
        try:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove_segment(folder / DATA)
                _remove(folder)
                swept.append(folder)
        finally:
            os.close(lock)
    return swept


def _remove(folder: Path) -> None:
    """Remove it, and its lock last: without that nobody would take what is left for a leftover.

    The processes of a server that was killed need a moment to notice, and may write until then.
    """
    patient_until_s = time.monotonic() + REMOVE_LIMIT_S
    while True:
        for path in folder.iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)
            elif path.name != LOCK:
                path.unlink(missing_ok=True)
        if [path.name for path in folder.iterdir()] in ([], [LOCK]):
            shutil.rmtree(folder, ignore_errors=True)
            return
        if time.monotonic() > patient_until_s:
            return
        time.sleep(REMOVE_POLL_S)


def readable_by(binaries: Binaries, owner: Account, folder: Path) -> Binaries:
    """The same programs where `owner` can run them: a private copy when the environment is closed to it.

    Nobody's permissions are changed. 43 MB and about 0.1 s, and only as root with an environment under a closed
    folder, such as root's home.
    """
    if owner.uid is None or _open_to_others(binaries.postgres):
        return binaries
    # The programs look for their libraries beside their package, so both keep their places to each other.
    copy = folder / "programs"
    installation = copy / "package" / binaries.installation.name
    without = shutil.ignore_patterns("include", "doc", "man")
    shutil.copytree(binaries.installation, installation, ignore=without)
    for libraries in binaries.libraries:
        shutil.copytree(libraries, copy / libraries.name)
    for path in (copy, *copy.rglob("*")):
        os.chown(path, owner.uid, owner.gid or 0, follow_symlinks=False)
    return Binaries(installation / binaries.folder.name, binaries.found)


def _open_to_others(program: Path) -> bool:
    """Whether an account that owns nothing can run it, by the way it is named and by the way its links lead."""
    real = program.resolve()
    return real.stat().st_mode & 0o005 == 0o005 and is_passable(program.absolute().parent) and is_passable(real.parent)


def _place_for(owner: Account, part: str) -> Path:
    """Where the folder is made: the usual place, or one that the other account can reach. Raises `StackError`."""
    usual, *others = _places()
    if owner.uid is None or is_passable(usual.resolve()):
        return usual
    for place in others:
        if place.is_dir() and is_passable(place.resolve()):
            return place
    reason = f"{usual}, the folder for temporary files, is closed to the account {UNPRIVILEGED} that it runs as"
    raise StackError(part, reason)


def _places() -> list[Path]:
    return list(dict.fromkeys(Path(place) for place in (tempfile.gettempdir(), *SHARED_PLACES)))


def prefix(part: str) -> str:
    """How the names of a part's folders begin."""
    return f"coldstart-{part}-"


def is_passable(folder: Path) -> bool:
    """Whether others may go through it and through every folder above it."""
    return all(path.stat().st_mode & 0o001 for path in (folder, *folder.parents))
