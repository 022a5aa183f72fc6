"""Tasks that run beside others, and end them when they fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager


@asynccontextmanager
async def beside(*tasks: Awaitable[None]) -> AsyncIterator[None]:
    """While inside, these run too, and the first that fails ends what is inside; they are cancelled on leaving."""
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(_awaited(task)) for task in tasks]
        # One that is cancelled before its first step would leave its coroutine without anybody to await it.
        await asyncio.sleep(0)
        try:
            yield
        finally:
            for task in running:
                task.cancel()


async def _awaited(task: Awaitable[None]) -> None:
    await task
