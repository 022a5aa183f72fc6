"""What the service does for each request: the same functions behind HTTP and in virtual time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, assert_never

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from harness.model.arrivals import RequestName
from harness.model.outcomes import Outcome
from harness.service.answer import Answer
from harness.service.classify import classify, driver_exception
from harness.service.observation import PoolWatch
from harness.service.statements import LIST_TRACKS, READ_TRACK, SLOW_QUERY_SQL, WRITE_PLAY, track_id
from harness.service.telemetry import Telemetry
from harness.service.trace import TRACE, RequestTrace

READ = text(READ_TRACK.sql)
LIST = text(LIST_TRACKS.sql)
WRITE = text(WRITE_PLAY.sql)
SLOW = text(SLOW_QUERY_SQL)


class Database:
    """An engine and its watch: all that a request needs."""

    def __init__(self, engine: AsyncEngine, watch: PoolWatch, telemetry: Telemetry | None = None) -> None:
        self.engine = engine
        self.telemetry = telemetry
        self.watch = watch
        self.leaked: list[AsyncConnection] = []
        """Connections that were checked out and forgotten; a reference keeps them from being collected."""

    async def checked_out(self) -> AsyncConnection:
        """A connection whose owner must close it."""
        connection = self.engine.connect()
        self.watch.checkout_began()
        try:
            return await connection.start()
        finally:
            self.watch.checkout_ended()

    async def close_leaked(self) -> None:
        """Give back what was leaked; a service ends with its process, a test or a simulation does not."""
        while self.leaked:
            await self.leaked.pop().close()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Check a connection out, and in again."""
        connection = await self.checked_out()
        try:
            yield connection
        finally:
            await connection.close()

    async def perform(self, request: RequestName, key: int, *, hold_s: float = 0.0) -> Answer:
        """Carry out one request; whatever goes wrong is its outcome. A cancellation goes through."""
        trace = RequestTrace()
        token = TRACE.set(trace)
        outcome, error, body = Outcome.OK, None, None
        try:
            body = await _carried_out(self, request, track_id(key), hold_s)
        except Exception as exception:  # noqa: BLE001 - every exception is an outcome, with its name
            outcome = classify(exception, trace.phase)
            error = type(driver_exception(exception)).__name__
        finally:
            trace.ended()
            TRACE.reset(token)
        answer = Answer(
            outcome=outcome,
            error=error,
            checkout_s=trace.checkout_s,
            connect_s=trace.connect_s,
            ping_s=trace.ping_s,
            query_s=trace.query_s,
            idle_s=trace.idle_s,
            body=body,
        )
        if self.telemetry is not None:
            self.telemetry.ended(request.value, answer)
        return answer

    async def warm(self, connections: int) -> None:
        """Open `connections` connections at once, use each, and give all of them back."""
        if not connections:
            return
        together = asyncio.Barrier(connections)

        async def use_one() -> None:
            async with self.connection() as connection:
                await connection.execute(text("SELECT 1"))
                await together.wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(use_one())


async def read_track(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """One track with its artist, by primary key."""
    async with database.connection() as connection:
        row = (await connection.execute(READ, {"id": track})).mappings().one()
    return dict(row)


async def list_tracks(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """A page of tracks."""
    async with database.connection() as connection:
        rows = (await connection.execute(LIST, {"after": track})).mappings().all()
    return [dict(row) for row in rows]


async def write_play(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """Record that a track was played."""
    async with database.connection() as connection, connection.begin():
        await connection.execute(WRITE, {"track_id": track})
    return {"track_id": track}


async def hold_connection(database: Database, track: int, hold_s: float) -> Any:  # noqa: ANN401 - JSON
    """What services do wrong: wait for something else, an upload perhaps, with a connection checked out."""
    async with database.connection() as connection:
        row = (await connection.execute(READ, {"id": track})).mappings().one()
        await asyncio.sleep(hold_s)
    return dict(row)


async def slow_query(database: Database, seconds: float) -> Any:  # noqa: ANN401 - JSON
    """A statement that takes `seconds` in the database."""
    async with database.connection() as connection:
        await connection.execute(SLOW, {"seconds": seconds})
    return {"seconds": seconds}


async def leak_connection(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """What a missing `finally` does: the answer goes out, the connection never comes back."""
    connection = await database.checked_out()
    database.leaked.append(connection)
    row = (await connection.execute(READ, {"id": track})).mappings().one()
    return dict(row)


async def _carried_out(database: Database, request: RequestName, track: int, hold_s: float) -> Any:  # noqa: ANN401 - JSON
    match request:
        case RequestName.READ_TRACK:
            return await read_track(database, track)
        case RequestName.LIST_TRACKS:
            return await list_tracks(database, track)
        case RequestName.WRITE_PLAY:
            return await write_play(database, track)
        case RequestName.HOLD_CONNECTION:
            return await hold_connection(database, track, hold_s)
        case RequestName.SLOW_QUERY:
            return await slow_query(database, hold_s)
        case RequestName.LEAK_CONNECTION:
            return await leak_connection(database, track)
        case _:
            assert_never(request)
