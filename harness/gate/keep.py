"""Keeps a check's run as its baseline: the files that a comparison reads, and nothing of this machine's logs."""

import shutil
from pathlib import Path

from harness.gate.checks import Checked
from harness.gate.verdict import Verdict
from harness.model.errors import UserError
from harness.results import TABLES
from harness.results.disk import writing
from harness.results.folder import MANIFEST

SUMMARY = "summary.csv"
FILES = (MANIFEST, *(f"{name}.parquet" for name in TABLES), SUMMARY)


def check_place(folder: Path, *, where: str) -> None:
    """Raise `UserError` where a baseline can't be written: over something that is no run."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST).is_file()):
        raise UserError(f"{folder} is something else than a run", where=where, allowed="a folder of its own")


def keep(checked: Checked, folder: Path) -> str:
    """Make a check's run its baseline, in place of the one before; what was done, in a sentence.

    A run that is no measurement is none to compare with, and is not kept.
    """
    if checked.folder is None or any(one.verdict is Verdict.UNKNOWN for one in checked.judged):
        return f"{folder} is left as it was: this run is no measurement."
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in FILES:
            new = folder / f".{name}.new"
            shutil.copyfile(checked.folder / name, new)
            new.replace(folder / name)
    return f"{folder} is now the baseline: run {checked.run}."
