"""Warming a pool: so many connections open and idle, of the ages asked for, whatever the pool is made of."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from typing import Any, TypeAlias

CheckOut: TypeAlias = Callable[[], AbstractAsyncContextManager[Any]]
"""Checks a connection out, uses it once, and on leaving checks it in."""


async def warm_at_once(check_out: CheckOut, connections: int) -> None:
    """Open `connections` connections at once, use each, and give all of them back."""
    if not connections:
        return
    together = asyncio.Barrier(connections)

    async def use_one() -> None:
        async with check_out():
            await together.wait()

    async with asyncio.TaskGroup() as group:
        for _ in range(connections):
            group.create_task(use_one())


async def warm_by_age(check_out: CheckOut, ages_s: Sequence[float], *, last_first: bool) -> None:
    """Open a connection for each age (seconds), the oldest first, and give all of them back at the same moment.

    The pool gives them out in the order of `ages_s`; `last_first`: its last one first (LIFO).
    """
    now_s = asyncio.get_running_loop().time
    ends_s = now_s() + max(ages_s)
    held: dict[int, AsyncExitStack] = {}
    try:
        for number, age_s in sorted(enumerate(ages_s), key=lambda numbered: -numbered[1]):
            await asyncio.sleep(max(0.0, ends_s - age_s - now_s()))
            held[number] = AsyncExitStack()
            await held[number].enter_async_context(check_out())
        await asyncio.sleep(max(0.0, ends_s - now_s()))
    finally:
        for number in sorted(held, reverse=last_first):
            await held[number].aclose()
