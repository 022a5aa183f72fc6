"""What waits for its turn on the virtual loop: asyncio's handles without their debug mode.

There are dozens of them a request, so they are made and cancelled with as little as asyncio's contract allows.
"""

import asyncio
from asyncio import events
from collections.abc import Callable, Sequence
from contextvars import Context, copy_context
from typing import Any


class Soon(events.Handle):
    """asyncio's handle without its debug mode, which costs a call each: there are dozens a request."""

    __slots__ = ()
    _repr = None
    _source_traceback = None

    def __init__(
        self,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False


class Later(events.TimerHandle):
    """asyncio's timer, likewise: every statement has a timeout, and hardly any of them fires."""

    __slots__ = ()
    _repr = None
    _source_traceback = None

    def __init__(
        self,
        when: float,
        callback: Callable[..., object],
        args: Sequence[Any],
        loop: asyncio.AbstractEventLoop,
        context: Context | None = None,
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._when = when
        self._scheduled = True

    def cancel(self) -> None:
        if not self._cancelled:
            self._cancelled = True
            self._loop._timer_handle_cancelled(self)  # noqa: SLF001 - asyncio's contract between loop and handle
            self._callback = None
            self._args = None
