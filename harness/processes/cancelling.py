"""A command's event loop, which a Ctrl-C cancels."""

import asyncio
import signal
import threading
from collections.abc import Coroutine
from types import FrameType
from typing import Any, TypeVar

T = TypeVar("T")


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, in which Ctrl-C cancels `main`, once: a second one must not cut its cleaning up short.

    Raises `KeyboardInterrupt` when `main` has ended because of it.
    """
    before = signal.getsignal(signal.SIGINT)
    try:
        if not callable(before) or threading.current_thread() is not threading.main_thread():
            return asyncio.run(main)
        cancelling = _Cancelling()
        signal.signal(signal.SIGINT, cancelling)
        try:
            return asyncio.run(cancelling.following(main))
        except asyncio.CancelledError:
            if cancelling.came:
                raise KeyboardInterrupt from None
            raise
        finally:
            signal.signal(signal.SIGINT, before)
    finally:
        # Where not even a loop could be made, it would complain that nobody awaited it.
        main.close()


class _Cancelling:
    """The handler of Ctrl-C while a coroutine runs."""

    def __init__(self) -> None:
        self.came = False
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def following(self, main: Coroutine[Any, Any, T]) -> T:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        return await main

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self._task is None or self._loop is None:
            raise KeyboardInterrupt
        if not self.came and not self._loop.is_closed():
            self.came = True
            # The loop may be waiting in its selector.
            self._loop.call_soon_threadsafe(self._task.cancel)
