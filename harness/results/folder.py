"""Where runs are kept, and which one somebody means."""

from pathlib import Path

from harness.model.errors import UserError

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
    if (Path(name) / MANIFEST).is_file():
        return Path(name)
    folders = run_folders(runs)
    if not folders:
        raise UserError("no runs yet", where=str(runs), allowed="coldstart run SCENARIO makes one")
    if str(name) == NEWEST:
        return folders[-1]
    found = [folder for folder in folders if folder.name.startswith(str(name))]
    if len(found) == 1 or (found and found[0].name == str(name)):
        return found[0]
    problem = "is no run" if not found else f"is the beginning of {len(found)} runs"
    allowed = f"{NEWEST}, a path, or an id such as {(found or folders)[-1].name}"
    raise UserError(problem, where=str(name), allowed=allowed)
