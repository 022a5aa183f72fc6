"""Tasks that run beside others, and end them when they fail."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager

from harness.model.errors import StackError, UserError


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


def first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error of a group that says something to a user; else its only one, or the group itself."""
    error: BaseException = group.subgroup((StackError, UserError)) or group
    while isinstance(error, BaseExceptionGroup) and (error is not group or len(group.exceptions) == 1):
        error = error.exceptions[0]
    return error


async def _awaited(task: Awaitable[None]) -> None:
    await task
