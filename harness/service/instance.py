"""One instance of the service: its pool, and the gates and pools of its background jobs."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import URL

from harness.model.arrivals import AnyRequest
from harness.model.driver import Driver
from harness.model.pool import PoolConfiguration
from harness.model.shape import RequestShape
from harness.service.answer import Answer
from harness.service.observation import PoolWatch
from harness.service.pools import make_pool
from harness.service.requests import Database
from harness.service.telemetry import Telemetry


class Instance:
    """Answers requests with one pool, watched by `watch`; a shape may have a gate and a pool of its own.

    `transaction_pooler` and `connection_classes` (for each driver) are for `make_pool`.
    """

    def __init__(
        self,
        url: str | URL,
        pool: PoolConfiguration,
        watch: PoolWatch,
        *,
        shapes: Iterable[RequestShape] = (),
        telemetry: Telemetry | None = None,
        transaction_pooler: bool = False,
        connection_classes: Mapping[Driver, type[Any]] | None = None,
    ) -> None:
        self._url = url
        self._transaction_pooler = transaction_pooler
        self._connection_classes = connection_classes or {}
        self._pool = pool
        self._watch = watch
        self._telemetry = telemetry
        self.shapes = {shape.name: shape for shape in shapes}
        self._gates = {
            shape.name: asyncio.Semaphore(shape.at_most) for shape in self.shapes.values() if shape.at_most is not None
        }
        self._draining: dict[asyncio.Task[None], Database] = {}
        """The pools that were replaced, until they have closed."""
        self._open()

    @property
    def databases(self) -> list[Database]:
        return [self.database, *self._own.values()]

    async def perform(self, request: AnyRequest, key: int, *, hold_s: float = 0.0) -> Answer:
        """Carry out one request; whatever goes wrong is its outcome. A cancellation goes through."""
        database = self._own.get(request.value, self.database)
        gate = self._gates.get(request.value)
        if gate is None:
            return await database.perform(request, key, hold_s=hold_s)
        async with gate:
            return await database.perform(request, key, hold_s=hold_s)

    async def warm(self, ages_s: Sequence[float]) -> None:
        """Open a connection for each age, use each, and give all of them back: `Warm` in harness/model/timeline.py."""
        if any(ages_s):
            await self.database.warm_by_age(ages_s, last_first=self._pool.of_library.use_lifo)
        else:
            await self.database.warm(len(ages_s))

    def replace_pool(self) -> None:
        """From now on requests have a new, empty pool. The old one closes when its last request has ended."""
        for database in self.databases:
            task = asyncio.create_task(database.drained())
            self._draining[task] = database
            task.add_done_callback(self._draining.pop)
        self._open()

    async def abandon(self) -> None:
        """Give back what was leaked and end every pool at once; a service ends with its process."""
        replaced = dict(self._draining)
        for task in replaced:
            task.cancel()
        for database in (*self.databases, *replaced.values()):
            await database.close_leaked()
            await database.pool.abandon()

    def _open(self) -> None:
        self.database = self._database(self._pool, self._watch)
        self._own = {
            shape.name: self._database(shape.pool, PoolWatch())
            for shape in self.shapes.values()
            if shape.pool is not None
        }

    def _database(self, pool: PoolConfiguration, watch: PoolWatch) -> Database:
        made = make_pool(
            self._url,
            pool,
            watch=watch,
            transaction_pooler=self._transaction_pooler,
            connection_class=self._connection_classes.get(pool.runs_on),
        )
        return Database(made, watch, self._telemetry)
