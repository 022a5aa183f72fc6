"""`coldstart wake`: wakes the database of a running `coldstart up`."""

import click

from harness.cli.suspend import PORT
from harness.cli.terminal import echo
from harness.processes.cancelling import run_async


@click.command()
@PORT
def wake(port: int | None) -> None:
    """Wake the database of a running `coldstart up`. As a first client it takes the wake latency, and waits."""
    from harness.up.command import wake_and_wait

    waited_s = run_async(wake_and_wait(port))
    echo("awake already" if waited_s is None else f"awake after {waited_s:.2f} s")
