"""A command's event loop: a Ctrl-C cancels it, and so does memory that is used up where nobody would notice."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

from harness.processes.interruption import INTERRUPTING

T = TypeVar("T")


def run_async(main: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run`, in which Ctrl-C, SIGTERM and SIGHUP cancel `main`, once: a second must not cut its end short.

    Raises `KeyboardInterrupt` when `main` has ended because of it, and `MemoryError` when it has ended because a
    callback of the loop got no memory: by itself the loop would call it again for ever.
    """
    cancelling = _Cancelling()
    before = {number: signal.getsignal(number) for number in INTERRUPTING}
    # What is ignored stays so, and what ends the process where nobody has asked for more does.
    heard = [number for number in INTERRUPTING if callable(before[number])]
    if threading.current_thread() is not threading.main_thread():
        heard = []
    try:
        for number in heard:
            signal.signal(number, cancelling)
        try:
            with _waiting_without_threads():
                return asyncio.run(cancelling.following(main))
        except asyncio.CancelledError:
            if cancelling.came:
                raise KeyboardInterrupt from None
            raise
        finally:
            for number in heard:
                signal.signal(number, before[number])
    finally:
        # Where not even a loop could be made, it would complain that nobody awaited it.
        main.close()


@contextmanager
def _waiting_without_threads() -> Iterator[None]:
    """While inside, loops of this thread wait for processes as Python 3.12 does: by descriptors.

    A thread for each, as Python 3.11 has it, may not be had any more.
    """
    needed = sys.version_info < (3, 12) and sys.platform == "linux"
    if not needed or threading.current_thread() is not threading.main_thread() or not _has_descriptors():
        yield
        return
    before = asyncio.get_child_watcher()
    asyncio.set_child_watcher(asyncio.PidfdChildWatcher())
    try:
        yield
    finally:
        asyncio.set_child_watcher(before)


def _has_descriptors() -> bool:
    """Whether the system knows descriptors of processes: Linux 5.3."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class _Cancelling:
    """What ends a coroutine from outside while it runs: the handler of Ctrl-C, and of errors that nobody awaits."""

    def __init__(self) -> None:
        self.came = False
        self._lacking: MemoryError | None = None
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def following(self, main: Coroutine[Any, Any, T]) -> T:
        self._task, self._loop = asyncio.current_task(), asyncio.get_running_loop()
        self._loop.set_exception_handler(self._unawaited)
        try:
            return await main
        except asyncio.CancelledError:
            if self._lacking is not None and not self.came:
                raise self._lacking from None
            raise

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        if self._task is None or self._loop is None:
            raise KeyboardInterrupt
        if not self.came and not self._loop.is_closed():
            self.came = True
            # The loop may be waiting in its selector.
            self._loop.call_soon_threadsafe(self._task.cancel)

    def _unawaited(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if self._lacking is not None:
            return  # what follows from it is no news
        error = context.get("exception")
        if not isinstance(error, MemoryError) or self._task is None:
            loop.default_exception_handler(context)
            return
        self._lacking = error
        self._task.cancel()
