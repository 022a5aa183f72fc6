"""`coldstart guest-path`: the folder that makes `coldstart_guest` importable in an application of one's own."""

from pathlib import Path

import click

from harness.cli.terminal import echo
from harness.guest import path


@click.command("guest-path")
def guest_path() -> None:
    """Print the folder for an application's PYTHONPATH: `from coldstart_guest import observed`."""
    echo(Path(path.__file__).parent)
