"""`coldstart suspend`: suspends the database of a running `coldstart up`."""

import click

from harness.cli.terminal import echo
from harness.processes.cancelling import run_async

PORT = click.option(
    "--port", type=click.IntRange(1, 65_535), help="Which one, by its clients' port; left out, the only one."
)


@click.command()
@PORT
def suspend(port: int | None) -> None:
    """Suspend the database of a running `coldstart up` now."""
    from harness.model.compute import State
    from harness.up.command import ask_to_suspend

    before, after = run_async(ask_to_suspend(port))
    echo(after.state.value if before.state is State.ACTIVE else f"{before.state.value} already")
