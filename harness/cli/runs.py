"""`coldstart runs`: lists the runs on disk, and removes old ones."""

import json
import shutil
from pathlib import Path
from typing import Any

import click

from harness.cli.console import console
from harness.cli.table import Column, Row, Sheet
from harness.cli.terminal import echo
from harness.model.errors import UserError
from harness.model.status import RunStatus
from harness.results import read_manifest
from harness.results.folder import DEFAULT_RUNS, run_folders

KEEP = 10
COLUMNS = ("scenario", "stack", "trials", "status", "MB")
FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.option("--prune", is_flag=True, help="Remove all but the newest; one that is still running is left alone.")
@click.option("--keep", type=click.IntRange(min=0), default=KEEP, show_default=True, help="How many --prune keeps.")
@click.option("--out", type=FOLDER, default=DEFAULT_RUNS, show_default=True, help="Where runs are kept.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def runs(*, prune: bool, keep: int, out: Path, as_json: bool) -> None:
    """List the runs, or remove old ones (--prune)."""
    folders = run_folders(out)[::-1]
    if prune:
        removed = [folder for folder in folders[keep:] if _about(folder)["status"] != RunStatus.RUNNING]
        for folder in removed:
            shutil.rmtree(folder)
        folders = [folder for folder in folders if folder not in removed]
        echo(f"removed {len(removed)} of {len(removed) + len(folders)} runs", err=True)
    entries = [_about(folder) for folder in folders]
    if as_json:
        echo(json.dumps({"runs": entries}))
        return
    columns = [Column(name, wraps=name in ("scenario", "stack", "status")) for name in COLUMNS]
    rows = [
        Row(about["run"], [*(str(about[name]) for name in COLUMNS[:-1]), f"{about['mb']:.1f}"]) for about in entries
    ]
    console().print(Sheet("run", columns, rows) if entries else f"no runs under {out}")


def _about(folder: Path) -> dict[str, Any]:
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    about: dict[str, Any] = {"run": folder.name, "mb": size / 1e6}
    try:
        manifest = read_manifest(folder)
    except UserError:
        return {**about, "scenario": "?", "stack": "?", "trials": 0, "status": "unreadable"}
    return {
        **about,
        "scenario": manifest.plan.scenario.name,
        "stack": manifest.stack,
        "trials": len(manifest.trials),
        "status": manifest.status,
    }
