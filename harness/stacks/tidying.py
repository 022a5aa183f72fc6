"""Ending what a trial has made on a stack that may be gone by then."""

from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

from harness.model.errors import StackError


def tidied(stack: AsyncExitStack, tidy: Callable[[], Awaitable[object]]) -> None:
    """Await `tidy()` as the stack ends.

    Where it ends with an error or is cancelled, that is what happened: what can't be tidied up any more follows from
    it, and is not told in its place.
    """

    async def end(error: type[BaseException] | None, *_: object) -> None:
        try:
            await tidy()
        except StackError:
            if error is None:
                raise

    stack.push_async_exit(end)
