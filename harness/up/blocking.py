"""A PostgreSQL that really sleeps, for code without an event loop, such as a test: in a thread of its own."""

import asyncio
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.model.compute import State
from harness.model.wake import profile, read_wake
from harness.up.database import RunningDatabase, running_database
from harness.up.history import Wake

LIMIT_S = 600.0
"""What waits for another thread does not wait for ever."""


class SleepingPostgres:
    """A running database, its methods blocking."""

    def __init__(self, database: RunningDatabase, loop: asyncio.AbstractEventLoop) -> None:
        self._database = database
        self._loop = loop
        self.url = database.url
        """`postgresql://…`, with its password; for SQLAlchemy it begins with `postgresql+asyncpg://`, say."""
        self.port = database.port

    @property
    def state(self) -> State:
        """`active`, `suspended` or `waking`."""
        return self._database.state

    @property
    def wakes(self) -> tuple[Wake, ...]:
        """Every wake so far: who asked, its latency, what it took."""
        return self._database.wakes

    @property
    def suspends(self) -> int:
        """How often it has suspended so far."""
        return self._database.suspends

    def suspend(self) -> None:
        """Suspend it now, in spite of any activity."""
        self._carry_out(self._database.suspend())

    def wake(self) -> None:
        """Wake it as a first client would; returns when it is awake."""
        self._carry_out(self._database.wake())

    def _carry_out(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(LIMIT_S)


@contextmanager
def sleeping_postgres(
    *, wake: str | float = "neon", suspend_after: float | None = None, init: str | Path | None = None
) -> Iterator[SleepingPostgres]:
    """A PostgreSQL of its own, awake at first.

    `wake` is a profile, seconds or a CSV file, as in `coldstart up --wake`; `suspend_after` the seconds of quiet after
    which it suspends by itself; `init` a file of SQL that is run as it is made. Raises what `running_database` raises.
    """
    sleeps = read_wake(str(wake), where="wake").applied_to(profile("neon"))
    if suspend_after is not None:
        sleeps = replace(sleeps, suspend_after_s=float(suspend_after))
    started: asyncio.Future[SleepingPostgres] | None = None
    loop = asyncio.new_event_loop()
    started = loop.create_future()
    over = asyncio.Event()

    async def serve() -> None:
        assert started is not None
        try:
            async with running_database(wake=sleeps, init=None if init is None else Path(init)) as database:
                started.set_result(SleepingPostgres(database, loop))
                await over.wait()
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())

    async def wait_for_start() -> SleepingPostgres:
        return await started

    thread = threading.Thread(target=run, name="coldstart postgres")
    thread.start()
    try:
        yield asyncio.run_coroutine_threadsafe(wait_for_start(), loop).result(LIMIT_S)
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(LIMIT_S)
        loop.close()
