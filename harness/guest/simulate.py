"""The application in virtual time, as a child of the harness: a fresh process for each trial, forked from this one.

The application is imported here, before the fork, where one import does for every trial: where its pool's settings are
given to its engines, and are not in its environment. Else each trial's process imports it.
"""

import faulthandler
import gc
import importlib
import os
import select
import signal
import sys
import threading
from contextlib import suppress
from typing import Any

from harness.guest.orders import Play
from harness.guest.protocol import Pipes
from harness.model.errors import UserError

BATCH = 1000
"""Rows in one record: its line stays far below the length that the reader accepts."""
LIBRARIES = ("sqlalchemy.ext.asyncio", "asyncpg", "fastapi", "starlette.middleware.base", "anyio._backends._asyncio")
"""Imported once, where the application's environment has them."""
LOOK_S = 0.05


def main() -> None:
    """Play trials until there will be no more."""
    faulthandler.enable()
    pipes = Pipes()
    try:
        importlib.import_module("sqlalchemy")
    except ModuleNotFoundError:
        sys.exit(f"{sys.executable} has no sqlalchemy: the application's environment must have it (--python)")
    for library in LIBRARIES:
        with suppress(ImportError):
            importlib.import_module(library)
    importlib.import_module("harness.guest.play")
    pipes.emit("simulator_ready")
    imported: Imported | None = None
    while (command := pipes.next_command()) is not None:
        assert command["command"] == "play_application"
        play = Play.from_text(command["play"])
        if imported is None:
            imported = Imported(play)
        pid = os.fork()
        if pid == 0:
            _play(pipes, play, imported)
        _wait(pid, pipes)


class Imported:
    """The application, imported in this process where one import does for every trial."""

    def __init__(self, play: Play) -> None:
        """Import the application of the first trial, unless its pool's settings are in its environment."""
        from harness.guest.early import EarlyImport
        from harness.guest.marks import Marks
        from harness.guest.world import take_over

        self.early: EarlyImport | None = None
        self.marks: Marks | None = None
        if play.is_set_by_variables or play.application.app is None:
            return
        os.environ.update(play.environment)
        self.marks = Marks()
        take_over(self.marks)
        early = EarlyImport()
        if early.load(play.application.app):
            self.early = early
            if threading.active_count() > 1:
                self.marks.note("its import started a thread, which is not there in a trial's process")
            # What is there already is not looked at again and again in each trial.
            gc.collect()
            gc.freeze()


def _play(pipes: Pipes, play: Play, imported: Imported) -> None:
    from harness.guest.play import simulate_application

    status = 0
    try:
        played = simulate_application(play, imported.early, imported.marks)
    except UserError as error:
        pipes.emit("trial_refused", what=error.what, where=error.where, allowed=error.allowed)
    except BaseException:  # noqa: BLE001 - the log has it, and the parent sees the status
        sys.excepthook(*sys.exc_info())
        status = 1
    else:
        tables: dict[str, list[dict[str, Any]]] = {
            "requests": played.requests, "pool": played.pool, "events": played.events,
        }  # fmt: skip
        for table, rows in tables.items():
            for start in range(0, len(rows), BATCH):
                pipes.emit("rows_played", table=table, rows=rows[start : start + BATCH])
        pipes.emit("trial_played", marks=played.marks)
    sys.stdout.flush()
    sys.stderr.flush()
    # Whatever the application left running ends with its process.
    os._exit(status)


def _wait(pid: int, pipes: Pipes) -> None:
    """Until the trial's process has ended. Ends this one with it when it crashed, or when the parent is gone."""
    parent = select.poll()
    parent.register(pipes.fileno(), select.POLLHUP)
    while True:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            if status:
                os._exit(os.waitstatus_to_exitcode(status) % 256 or 1)
            return
        if any(event & (select.POLLHUP | select.POLLERR) for _, event in parent.poll(LOOK_S * 1000)):
            os.kill(pid, signal.SIGKILL)
            os._exit(0)
