"""The libraries' own clocks, in virtual time.

asyncio, and with it every timeout of asyncpg and of SQLAlchemy's queue, asks the loop for the time. Some places ask
the operating system instead: SQLAlchemy stamps connections with `time.time()` to recycle and to invalidate them,
asyncpg measures what is left of a command timeout (and what it tells query loggers) with `time.monotonic()`, and
psycopg and its pool keep all their deadlines with `monotonic()`. While a simulation runs, the names `time` and
`monotonic` in those modules stand for the virtual clock. Their code is not changed, and no other module's clock is
touched.
"""

import importlib.util
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

MODULES_WITH_A_CLOCK = (
    "sqlalchemy.pool.base",
    "sqlalchemy.dialects.postgresql.asyncpg",
    "asyncpg.connection",
    "asyncpg.protocol.protocol",
)
"""Every module of the two libraries that reads a clock of the operating system on the way of a request."""
MODULES_WITH_A_MONOTONIC_CLOCK = (
    "psycopg.waiting",
    "psycopg.connection_async",
    "psycopg_pool.base",
    "psycopg_pool.pool_async",
    "psycopg_pool.sched_async",
)
"""The same of psycopg and its pool, which import `monotonic` by its name."""
POOL_BEGINS_S = 1.0
"""What psycopg_pool's clock says at virtual time 0. At 0.0 itself, which no operating system's clock says, it takes its
connections for ones that were made before a `drain`, and replaces each as it comes back."""


class LibraryClock:
    """Stands for the module `time`: its wall clock and its monotonic clock are virtual, the rest is the real one's."""

    def __init__(self, now_s: Callable[[], float]) -> None:
        self._now_s = now_s
        self._last_wall_s = 0.0

    def monotonic(self) -> float:
        return self._now_s()

    def time(self) -> float:
        """Never the same twice: SQLAlchemy orders "made" and "invalidated" by it.

        Each reading is the virtual time, or the next larger float after the last reading.
        """
        self._last_wall_s = max(self._now_s(), math.nextafter(self._last_wall_s, math.inf))
        return self._last_wall_s

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the real module has
        return getattr(time, name)


@cache
def _is_there(module: str) -> bool:
    return importlib.util.find_spec(module.partition(".")[0]) is not None


@contextmanager
def psycopg_clocks_follow(now_s: Callable[[], float]) -> Iterator[None]:
    """While this lasts, psycopg and its pool read the virtual clock `now_s`. Imports them."""
    modules = [importlib.import_module(name) for name in MODULES_WITH_A_MONOTONIC_CLOCK if _is_there(name)]
    waiting = modules[0]
    for module in modules:
        is_pools = module.__name__.startswith("psycopg_pool.")
        vars(module)["monotonic"] = (lambda: now_s() + POOL_BEGINS_S) if is_pools else now_s
    # When psycopg let the loop go on last: a moment of another clock, or of another trial.
    vars(waiting)["_last_yield"] = 0.0
    try:
        yield
    finally:
        vars(waiting)["_last_yield"] = 0.0
        for module in modules:
            vars(module)["monotonic"] = time.monotonic


@contextmanager
def library_clocks_follow(now_s: Callable[[], float]) -> Iterator[None]:
    """While this lasts, the libraries read the virtual clock `now_s`."""
    clock = LibraryClock(now_s)
    # A user's own application may have one of the libraries only.
    modules = [importlib.import_module(name) for name in MODULES_WITH_A_CLOCK if _is_there(name)]
    originals = [vars(module)["time"] for module in modules]
    for module in modules:
        vars(module)["time"] = clock
    try:
        yield
    finally:
        for module, original in zip(modules, originals, strict=True):
            vars(module)["time"] = original
