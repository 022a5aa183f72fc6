"""What `coldstart up` shows: the URL, then on a terminal a live line, else a line for everything that happens."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from time import monotonic
from typing import Any, Protocol

from rich.console import Console
from rich.live import Live
from rich.text import Text

from harness.cli.console import console as output_console
from harness.cli.terminal import echo
from harness.model.compute import State
from harness.model.errors import StackError
from harness.model.wake import WakeProfile
from harness.processes.proxy_messages import (
    AnyProxyEvent,
    ClientNamed,
    ComputeSuspended,
    ComputeWoken,
    DialFailed,
    FirstAttempt,
)
from harness.proxy.client import ComputeState
from harness.up import RunningDatabase, Wake

LOOK_S = 1.0
"""How often the compute is asked when it will suspend."""
STYLES = {State.ACTIVE: "green", State.SUSPENDED: "dim", State.WAKING: "yellow"}


class Screen(Protocol):
    """Where a database is shown until the task is cancelled."""

    def heard(self, event: AnyProxyEvent) -> None: ...

    async def show(self, database: RunningDatabase, given: dict[str, Any]) -> None: ...


def screen(wake: WakeProfile) -> Screen:
    """The one for standard output as it is."""
    console = output_console()
    return LiveScreen(wake, console) if console.is_terminal else LineScreen(wake)


def opening(database: RunningDatabase, wake: WakeProfile, given: dict[str, Any]) -> Iterator[str]:
    """What is said first: the URL to paste alone in its line."""
    yield database.url
    if database.libpq_url != database.url:
        yield f"for psql and psycopg: {database.libpq_url}"
    yield _what(database, given)
    yield _sleep(wake)
    if wake.addresses > 1:
        yield f"the profile's host has {wake.addresses} addresses; here there is one"
    which = f" --port {database.port}" if database.port != given["port"] else ""
    yield f"from another terminal: coldstart suspend{which}, coldstart wake{which}; Ctrl-C stops it"


def _what(database: RunningDatabase, given: dict[str, Any]) -> str:
    if database.version is None:
        return "in front of your database"
    if given["data"] is None:
        return f"PostgreSQL {database.version}, its data is thrown away at the end"
    init = "" if database.is_new or given["init"] is None else f", so {given['init']} was not run again"
    made = "made now, kept" if database.is_new else "as it was kept"
    return f"PostgreSQL {database.version}, {made} in {given['data']}{init}"


def _sleep(wake: WakeProfile) -> str:
    if wake.suspend_after_s is None:
        return f"it suspends only on command, and wakes in {wake.latency}"
    kept_awake = ", with no connection open" if wake.open_connections_prevent_suspend else ""
    return f"suspends after {wake.suspend_after_s:g} s of quiet{kept_awake}, wakes in {wake.latency}"


class LineScreen:
    """For logs and pipes."""

    def __init__(self, wake: WakeProfile) -> None:
        self._wake = wake
        self._database: RunningDatabase | None = None

    async def show(self, database: RunningDatabase, given: dict[str, Any]) -> None:
        self._database = database
        for line in opening(database, self._wake, given):
            echo(line)
        await asyncio.Event().wait()

    def heard(self, event: AnyProxyEvent) -> None:
        line = None if self._database is None else said(event, self._database.wakes)
        if line is not None:
            echo(f"{datetime.now().astimezone():%H:%M:%S}  {line}")


def said(event: AnyProxyEvent, wakes: tuple[Wake, ...]) -> str | None:
    """An event in words; None: it is not worth a line."""
    match event:
        case ComputeSuspended():
            return "suspended"
        case FirstAttempt():
            return f"waking, asked by {wakes[-1].by}: awake in {wakes[-1].latency_s:.2f} s"
        case ComputeWoken(at_s=at_s):
            # Nobody was waited for: an outage's end, or a run that gives the database back.
            woke = wakes and wakes[-1].woken_at_s == at_s
            return f"awake after {wakes[-1].took_s:.2f} s" if woke else "awake"
        case ClientNamed(connection=connection) if wakes and wakes[-1].connection == connection:
            return f"it was {wakes[-1].by}"
        case DialFailed(error=error):
            return f"the database can't be reached: {error}"
        case _:
            return None


class LiveScreen:
    """For a terminal: one line, drawn again several times a second."""

    def __init__(self, wake: WakeProfile, console: Console) -> None:
        self._wake = wake
        self._console = console
        self._trouble = ""

    def heard(self, event: AnyProxyEvent) -> None:
        if isinstance(event, DialFailed):
            self._trouble = f"the database can't be reached: {event.error}"

    async def show(self, database: RunningDatabase, given: dict[str, Any]) -> None:
        for line in opening(database, self._wake, given):
            self._console.print(line, soft_wrap=True)
        self._console.print()
        look = _Look()
        with Live(
            get_renderable=lambda: self._line(database, look),
            console=self._console,
            refresh_per_second=5,
            transient=True,
        ):
            while True:
                with suppress(StackError):
                    # A server that has died is told of where it is watched.
                    look.take(await database.now())
                await asyncio.sleep(LOOK_S)

    def _line(self, database: RunningDatabase, look: "_Look") -> Text:
        state = database.state
        line = Text(state.value, STYLES[state])
        parts = [look.words(database), f"{database.connections} connection{'s' * (database.connections != 1)}"]
        parts += [*_wakes(database.wakes), self._trouble]
        return line.append("".join(f" · {part}" for part in parts if part), "")


class _Look:
    """What the compute said last of when it will suspend."""

    def __init__(self) -> None:
        self._state: ComputeState | None = None
        self._due_s: float | None = None

    def take(self, state: ComputeState) -> None:
        self._state = state
        self._due_s = None if state.changes_in_s is None else monotonic() + state.changes_in_s

    def words(self, database: RunningDatabase) -> str:
        if database.state is State.WAKING:
            return f"awake in {max(0.0, database.wakes[-1].planned_at_s - monotonic()):.1f} s"
        if database.state is State.ACTIVE and self._state is not None and self._state.state is State.ACTIVE:
            return "kept awake" if self._due_s is None else f"suspends in {max(0.0, self._due_s - monotonic()):.0f} s"
        return ""


def _wakes(wakes: tuple[Wake, ...]) -> list[str]:
    over = [wake for wake in wakes if wake.took_s is not None]
    count = f"{len(wakes)} wake{'s' * (len(wakes) != 1)}"
    if not over:
        return [count]
    return [f"{count}, last {over[-1].took_s:.2f} s by {over[-1].by}"]
