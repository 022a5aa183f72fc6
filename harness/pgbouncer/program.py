"""Where the program is, and which version it is."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness.model.errors import StackError

VARIABLE = "COLDSTART_PGBOUNCER"
DEBIAN = Path("/usr/sbin/pgbouncer")
"""Debian keeps it in a folder that is not on an ordinary user's PATH."""


@dataclass(frozen=True, slots=True)
class Program:
    """The program, and its version: 1.18.0, say."""

    path: Path
    version: str

    @property
    def follows_prepared_statements(self) -> bool:
        """Whether it has `max_prepared_statements` (PgBouncer's changelog: since 1.21)."""
        return tuple(map(int, self.version.split(".")[:2])) >= (1, 21)


def program() -> Program:
    """PgBouncer on this machine. Raises `StackError`, in one line that says how to install it, when there is none."""
    named = os.environ.get(VARIABLE)
    found = named or shutil.which("pgbouncer") or (str(DEBIAN) if DEBIAN.is_file() else None)
    if found is None:
        raise StackError("pgbouncer", f"is not installed: apt-get install pgbouncer, or {VARIABLE}=<the program>")
    try:
        done = subprocess.run([found, "--version"], capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError) as error:
        how = f"{VARIABLE}={named}" if named else found
        raise StackError("pgbouncer", f"can't be run: {how}: {error}: apt-get install pgbouncer") from error
    match = re.search(r"\d+\.\d+(?:\.\d+)*", done.stdout)
    if match is None:
        raise StackError("pgbouncer", f"{found} --version says no version: {done.stdout[:60]!r}")
    return Program(Path(found), match.group())
