"""`make notebooks`: executes the notebooks under results/ on a run, and leaves them beside its files.

Without a run each takes the sample it names itself, and is replaced: that is how the committed ones are made.
"""

import argparse
import os
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
import papermill
from traitlets.config import Config

from harness.model.errors import UserError
from harness.results import find_run
from harness.results.folder import NEWEST

RESULTS = Path(__file__).parent.parent / "results"
NOTEBOOKS = sorted(RESULTS.glob("*.ipynb"))
SAMPLE = "sample"


def execute(notebook: Path, out: Path, run: Path | None) -> None:
    """Execute one, and keep what a reader needs of it. Raises papermill's own error when a cell does."""
    parameters = {} if run is None else {"run": os.path.relpath(run, RESULTS)}
    with TemporaryDirectory(prefix="coldstart-kernel-") as folder:
        # The kernel is spoken to through files of its own: no port is opened.
        kernel = Config({"KernelManager": {"transport": "ipc", "ip": f"{folder}/kernel"}})
        papermill.execute_notebook(
            notebook, out, parameters, cwd=RESULTS, progress_bar=False, report_mode=run is not None, config=kernel
        )
    made = nbformat.read(out, nbformat.NO_CONVERT)
    # When each cell ran and for how long says nothing about the run, and would be new every time.
    made.metadata = {name: made.metadata[name] for name in ("kernelspec", "language_info")}
    made.metadata["language_info"] = {"name": "python"}
    for number, cell in enumerate(made.cells):
        cell.id = f"{notebook.stem.replace('_', '-')}-{number}"
        cell.metadata = {name: cell.metadata[name] for name in ("tags", "jupyter") if cell.metadata.get(name)}
    nbformat.write(made, out)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("run", nargs="?", default=NEWEST, help="a run's id or path, newest, or sample")
    asked = options.parse_args().run
    try:
        run = None if asked == SAMPLE else find_run(asked)
    except UserError as error:
        if asked != NEWEST:
            raise SystemExit(f"coldstart: {error}") from None
        run = None
    if run is not None and not (run / "summary.csv").is_file():
        raise SystemExit(
            f"coldstart: {run.name} did not reach its end: coldstart report {run.name} reads what there is"
        )
    for notebook in NOTEBOOKS:
        out = notebook if run is None else run / notebook.name
        execute(notebook, out, run)
        print(out)


if __name__ == "__main__":
    main()
