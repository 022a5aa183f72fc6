"""`coldstart examples`: copies of the scenarios, the sample runs and the notebooks."""

import shutil
from pathlib import Path

import click

from harness.cli.terminal import echo
from harness.model.errors import UserError
from harness.shipped import shipped

FOLDER = click.Path(file_okay=False, path_type=Path)
PATTERNS = ("scenarios/*.py", "results/README.md", "results/*.ipynb", "results/sample/*/*")


@click.command()
@click.argument("folder", type=FOLDER, default=".")
def examples(folder: Path) -> None:
    """Write scenarios, sample runs and notebooks into FOLDER, to read and to change. [default: here]"""
    top = shipped(".")
    files = sorted(file.relative_to(top) for pattern in PATTERNS for file in top.glob(pattern) if file.is_file())
    for file in files:
        if (folder / file).exists():
            raise UserError(
                "is there already, and nothing was written", where=str(folder / file), allowed="another folder"
            )
    try:
        for file in files:
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(top / file, folder / file)
    except OSError as error:
        raise UserError(f"can't be written: {error.strerror}", where=str(folder)) from error
    for place, files_there in _by_place(files).items():
        echo(f"{folder / place}: {files_there} files")


def _by_place(files: list[Path]) -> dict[Path, int]:
    counts: dict[Path, int] = {}
    for file in files:
        counts[file.parent] = counts.get(file.parent, 0) + 1
    return counts
