"""The folders of runs, and finding one by its name."""

from pathlib import Path

from harness.model.errors import UserError
from harness.model.paths import is_file, is_folder

DEFAULT_RUNS = Path("results") / "runs"
MANIFEST = "manifest.json"
NEWEST = "newest"


def run_folders(runs: Path = DEFAULT_RUNS) -> list[Path]:
    """The folders of all runs under `runs`, oldest first: a run's id begins with its time."""
    return sorted(path.parent for path in runs.glob(f"*/{MANIFEST}"))


def find_run(name: str | Path = NEWEST, *, runs: Path = DEFAULT_RUNS) -> Path:
    """The folder of a run by its path, its id, an unambiguous beginning of its id, or `newest`.

    Raises `UserError` when there is none, or more than one.
    """
    path = Path(name)
    if is_file(path / MANIFEST):
        return path
    if path.name == MANIFEST and is_file(path):
        return path.parent
    if len(path.parts) != 1 or is_file(path):
        raise _no_run_there(path)
    folders = run_folders(runs)
    if not folders:
        missing = "" if str(name) == NEWEST else f", so none is {str(name)!r}"
        raise UserError(f"no runs yet{missing}", where=str(runs), allowed="coldstart run SCENARIO makes one")
    if str(name) == NEWEST:
        return folders[-1]
    matching = [folder for folder in folders if folder.name.startswith(str(name))]
    if len(matching) == 1 or (matching and matching[0].name == str(name)):
        return matching[0]
    problem = "is no run" if not matching else f"is the beginning of {len(matching)} runs"
    allowed = f"{NEWEST}, a path, or an id such as {(matching or folders)[-1].name}"
    raise UserError(problem, where=str(name), allowed=allowed)


def _no_run_there(path: Path) -> UserError:
    """The error for a path that holds no run."""
    if is_file(path):
        what = "is a file"
    elif is_folder(path):
        what = f"has no {MANIFEST}"
    else:
        what = "no such folder"
    return UserError(what, where=str(path), allowed=f"a run's folder, which holds its {MANIFEST}")
