"""What the service does for each request: the same functions behind HTTP and in virtual time."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from types import TracebackType
from typing import Any, assert_never

from harness.model.application_request import ApplicationRequest
from harness.model.arrivals import AnyRequest, RequestName
from harness.model.distribution import Constant
from harness.model.outcomes import Outcome
from harness.model.shape import Checkout, Commit, Parallel, Query, RequestShape, Step, Upstream, Write
from harness.service.answer import Answer
from harness.service.classify import driver_exception
from harness.service.observation import PoolWatch
from harness.service.pools import PooledConnection, ServicePool
from harness.service.statements import LIST_TRACKS, READ_TRACK, SLOW_QUERY, TRY, WRITE_PLAY, track_id
from harness.service.telemetry import Telemetry
from harness.service.trace import TRACE, RequestTrace
from harness.service.warming import warm_at_once, warm_by_age


class Database:
    """A pool and its watch: all that a request needs."""

    def __init__(self, pool: ServicePool, watch: PoolWatch, telemetry: Telemetry | None = None) -> None:
        self.pool = pool
        self.telemetry = telemetry
        self.watch = watch
        self._leaked: list[AbstractAsyncContextManager[PooledConnection]] = []
        """Checkouts that were forgotten; a reference keeps their connections from being collected."""
        self._under_way = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def leaked(self) -> PooledConnection:
        """A connection that nobody will give back."""
        checkout = self.pool.connection()
        connection = await self.entered(checkout)
        self._leaked.append(checkout)
        return connection

    async def drained(self) -> None:
        """Wait until no request is under way, then close every connection."""
        await self._idle.wait()
        await self.close_leaked()
        await self.pool.close()
        self.watch.detach(self.pool)

    async def close_leaked(self) -> None:
        """Give back what was leaked; a service ends with its process, a test or a simulation does not."""
        while self._leaked:
            await self._leaked.pop().__aexit__(None, None, None)

    async def entered(self, checkout: AbstractAsyncContextManager[PooledConnection]) -> PooledConnection:
        """Enter it, and tell the watch when that began and ended."""
        self.watch.checkout_began()
        try:
            return await checkout.__aenter__()
        finally:
            self.watch.checkout_ended()

    def connection(self) -> AbstractAsyncContextManager[PooledConnection]:
        """Check a connection out, and in again."""
        return _CheckedOut(self)

    async def perform(self, request: AnyRequest, key: int, *, hold_s: float = 0.0) -> Answer:
        """Carry out one request; whatever goes wrong is its outcome. A cancellation goes through."""
        self._under_way += 1
        self._idle.clear()
        try:
            return await self._perform(request, key, hold_s)
        finally:
            self._under_way -= 1
            if not self._under_way:
                self._idle.set()

    async def _perform(self, request: AnyRequest, key: int, hold_s: float) -> Answer:
        trace = RequestTrace()
        token = TRACE.set(trace)
        outcome, error, body = Outcome.OK, None, None
        try:
            body = await _carried_out(self, request, key, hold_s)
        except Exception as exception:  # noqa: BLE001 - every exception is an outcome, with its name
            outcome = self.pool.outcome(exception, trace.phase)
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
        if connections:
            await self.pool.fill()
        await warm_at_once(self._tried, connections)

    async def warm_by_age(self, ages_s: Sequence[float], *, last_first: bool) -> None:
        """Open a connection for each age, as harness/service/warming.py does."""
        await warm_by_age(self._tried_in_its_own_transaction, ages_s, last_first=last_first)

    @asynccontextmanager
    async def _tried(self) -> AsyncIterator[None]:
        async with self.connection() as connection:
            await connection.execute(TRY)
            yield

    @asynccontextmanager
    async def _tried_in_its_own_transaction(self) -> AsyncIterator[None]:
        # So that none stays open while the connection grows older.
        async with self.connection() as connection:
            async with connection.begin():
                await connection.execute(TRY)
            yield


class _CheckedOut(AbstractAsyncContextManager[PooledConnection]):
    """What `Database.connection` gives. A class, as a generator costs more than all that it does."""

    __slots__ = ("_checkout", "_database")

    def __init__(self, database: Database) -> None:
        self._database = database
        self._checkout = database.pool.connection()

    async def __aenter__(self) -> PooledConnection:
        return await self._database.entered(self._checkout)

    async def __aexit__(
        self, kind: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        try:
            return await self._checkout.__aexit__(kind, exception, traceback)
        finally:
            if (trace := TRACE.get()) is not None:
                trace.checked_in()


async def read_track(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """One track with its artist, by primary key."""
    async with database.connection() as connection:
        (row,) = await connection.execute(READ_TRACK, id=track)
    return row


async def list_tracks(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """A page of tracks."""
    async with database.connection() as connection:
        return await connection.execute(LIST_TRACKS, after=track)


async def write_play(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """Record that a track was played."""
    async with database.connection() as connection, connection.begin():
        await connection.execute(WRITE_PLAY, track_id=track)
    return {"track_id": track}


async def hold_connection(database: Database, track: int, hold_s: float) -> Any:  # noqa: ANN401 - JSON
    """What services do wrong: wait for something else, an upload perhaps, with a connection checked out."""
    async with database.connection() as connection:
        (row,) = await connection.execute(READ_TRACK, id=track)
        await asyncio.sleep(hold_s)
    return row


async def slow_query(database: Database, seconds: float) -> Any:  # noqa: ANN401 - JSON
    """A statement that takes `seconds` in the database."""
    async with database.connection() as connection:
        await connection.execute(SLOW_QUERY, seconds=seconds)
    return {"seconds": seconds}


async def leak_connection(database: Database, track: int) -> Any:  # noqa: ANN401 - JSON
    """What a missing `finally` does: the answer goes out, the connection never comes back."""
    connection = await database.leaked()
    (row,) = await connection.execute(READ_TRACK, id=track)
    return row


async def follow(database: Database, shape: RequestShape, key: int) -> Any:  # noqa: ANN401 - JSON
    """The steps of a request that the scenario describes."""
    await _follow(database, shape.drawn(key), track_id(key), None)
    return {"shape": shape.name}


async def _follow(database: Database, steps: Sequence[Step], track: int, connection: PooledConnection | None) -> None:
    for step in steps:
        match step:
            case Upstream(Constant(for_s)):
                await asyncio.sleep(for_s)
            case Checkout(inner):
                async with database.connection() as own:
                    await _follow(database, inner, track, own)
            case Parallel(branches):
                await _beside_each_other(database, branches, track)
            case _:
                assert connection is not None, "the shape was checked when it was made"
                await _on(connection, step, track)


async def _on(connection: PooledConnection, step: Step, track: int) -> None:
    match step:
        case Query(Constant(for_s)) if for_s:
            await connection.execute(SLOW_QUERY, seconds=for_s)
        case Query():
            await connection.execute(READ_TRACK, id=track)
        case Write():
            await connection.execute(WRITE_PLAY, track_id=track)
        case Commit():
            await connection.commit()
        case _:
            raise AssertionError(f"{step} needs no connection")


async def _beside_each_other(database: Database, branches: Sequence[Step], track: int) -> None:
    """Each branch in a task of its own; the first that fails cancels the others, and its exception is the request's."""
    parent = TRACE.get()

    async def branch(step: Step) -> None:
        trace = None if parent is None else parent.branch()
        TRACE.set(trace)
        failed = True
        try:
            await _follow(database, (step,), track, None)
            failed = False
        except asyncio.CancelledError:
            # Another branch has failed: the request's phase is that one's.
            failed = False
            raise
        finally:
            if parent is not None and trace is not None:
                parent.join(trace, failed=failed)

    try:
        async with asyncio.TaskGroup() as group:
            for step in branches:
                group.create_task(branch(step))
    except BaseExceptionGroup as group_of_errors:
        raise group_of_errors.exceptions[0] from None


async def _carried_out(database: Database, request: AnyRequest, key: int, hold_s: float) -> Any:  # noqa: ANN401 - JSON
    track = track_id(key)
    match request:
        case RequestShape():
            return await follow(database, request, key)
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
        case ApplicationRequest():
            raise AssertionError(f"{request.name} is for an application of the user's own")
        case RequestName.LEAK_CONNECTION:
            return await leak_connection(database, track)
        case _:
            assert_never(request)
