"""An asyncio event loop in virtual time: its clock stands still while callbacks run, then jumps to the next timer.

It has no selector and no thread; what needs one is refused by name. Descriptors can be watched, because libpq has
sockets of its own: whatever is ready at an instant is done before the clock moves. Everything is decided by the order
in which callbacks were scheduled, so a program that draws its random numbers from seeds runs the same every time.
"""

import asyncio
import gc
import heapq
import itertools
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from functools import partial
from typing import Any, NoReturn, Protocol, TypeVar

from harness.simulation.clock import library_clocks_follow
from harness.simulation.descriptors import Descriptors
from harness.simulation.handles import Later, Soon

Result = TypeVar("Result")

ITERATIONS_AT_ONE_INSTANT = 1_000_000
"""More than this without the clock moving is a livelock: something waits by trying again and again."""
CALLBACKS_A_COLLECTION = 250_000
"""Garbage is collected after this many callbacks, not at the interpreter's own thresholds: see `_run_once`."""
CANCELLED_TIMERS_WORTH_SWEEPING = 1_000

REFUSED = (
    "add_signal_handler", "remove_signal_handler",
    "run_in_executor", "subprocess_exec", "subprocess_shell", "sock_recv", "sock_recv_into", "sock_recvfrom",
    "sock_recvfrom_into", "sock_sendall", "sock_sendto", "sock_sendfile", "sock_connect", "sock_accept",
    "create_server", "create_unix_server", "create_unix_connection", "create_datagram_endpoint",
    "connect_accepted_socket", "connect_read_pipe", "connect_write_pipe", "start_tls", "sendfile", "getnameinfo",
)  # fmt: skip
"""What an event loop of the real world can do and this one can't."""


class VirtualTimeError(RuntimeError):
    """A program did something that has no meaning in virtual time. A bug of the program, not of its user."""


class StalledError(VirtualTimeError):
    """Nothing is ready and no timer is set, yet the main task has not ended: it would wait for ever."""


class TimeLimitError(VirtualTimeError):
    """The virtual clock would have passed its limit."""


class ConnectingNetwork(Protocol):
    """Where the loop's clients look up a host and connect to it: harness/simulation/network.py is the one there is."""

    def addresses(self, host: str, port: int) -> list[tuple[Any, ...]]:
        """As `getaddrinfo` answers."""
        ...

    async def create_connection(
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """As the loop's own `create_connection` answers."""
        ...


class VirtualLoop(asyncio.BaseEventLoop):
    """The loop. `time()` starts at 0. Timers of the same instant fire in the order in which they were set."""

    # asyncio's own, which its type stubs keep to themselves.
    _ready: deque[asyncio.Handle]
    _stopping: bool

    def __init__(self, *, limit_s: float | None = None) -> None:
        super().__init__()
        self.network: ConnectingNetwork | None = None
        """Set by the network itself: the loop knows what it needs of one, and not how it works."""
        self.limit_s = limit_s
        self._now_s = 0.0
        self._iterations_at_this_instant = 0
        self._callbacks_to_collection = CALLBACKS_A_COLLECTION
        self._number = itertools.count()
        # Tuples, not handles: asyncio compares handles by their time only, so equal times could change places.
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._cancelled_timers = 0
        self._descriptors: Descriptors | None = None
        """None until somebody watches a descriptor: asking the system for what is ready costs a call an instant."""
        # asyncio's own method is a call in Python around this one, and every statement waits for a future.
        self.create_future = partial(asyncio.Future, loop=self)

    def time(self) -> float:
        return self._now_s

    def call_soon(self, callback: Callable[..., object], *args: Any, context: Context | None = None) -> asyncio.Handle:
        if self._closed:
            self._check_closed()
        handle = Soon(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_soon_threadsafe(
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """As `call_soon`, from this loop's own thread only."""
        self._check_thread()
        return self.call_soon(callback, *args, context=context)

    def call_at(
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        if self._closed:
            self._check_closed()
        timer = Later(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._number), timer))
        return timer

    def call_later(
        self, delay: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        # As `call_at`, and not by it: every statement sets a timer.
        if self._closed:
            self._check_closed()
        when = self._now_s + delay
        timer = Later(when, callback, args, self, context)
        heapq.heappush(self._timers, (when, next(self._number), timer))
        return timer

    def add_reader(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        if self._descriptors is None:
            self._descriptors = Descriptors(self)
        self._descriptors.add_reader(fd, callback, *args)

    def remove_reader(self, fd: int) -> bool:
        return self._descriptors is not None and self._descriptors.remove_reader(fd)

    def add_writer(self, fd: int, callback: Callable[..., object], *args: Any) -> None:
        if self._descriptors is None:
            self._descriptors = Descriptors(self)
        self._descriptors.add_writer(fd, callback, *args)

    def remove_writer(self, fd: int) -> bool:
        return self._descriptors is not None and self._descriptors.remove_writer(fd)

    async def create_connection(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,
        port: int | None = None,
        **options: Any,
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect over the in-memory network. TLS, bound and ready-made sockets are refused."""
        refused = sorted(name for name, value in options.items() if value)
        if self.network is None or refused or host is None or port is None:
            what = ", ".join(refused) or ("a network" if self.network is None else "no host and port")
            raise VirtualTimeError(f"create_connection with {what} is not possible in virtual time")
        return await self.network.create_connection(protocol_factory, host, port)

    async def getaddrinfo(self, host: str | None, port: int | None, **_: Any) -> list[tuple[Any, ...]]:
        """The addresses the network knows for this host."""
        if self.network is None:
            raise VirtualTimeError("getaddrinfo is not possible in virtual time without a network")
        return self.network.addresses(str(host), port or 0)

    def close(self) -> None:
        self._timers.clear()
        # The loop refers to itself by it: without it, it goes as soon as nobody needs it.
        vars(self).pop("create_future", None)
        super().close()

    def _run_once(self) -> None:
        if not self._ready and not self._stopping and not self._anything_readable():
            self._advance()
        self._run_this_instant()
        if self._callbacks_to_collection <= 0:
            # A finaliser is a callback like any other: where the collector runs decides when it runs. Counted in
            # callbacks it is the same in every process; the interpreter's own thresholds are not.
            self._callbacks_to_collection = CALLBACKS_A_COLLECTION
            gc.collect()

    def _run_this_instant(self) -> None:
        """Everything that can happen without the clock moving, in the turns that asyncio's own loop would take."""
        ready = self._ready
        popleft = ready.popleft
        while True:
            self._iterations_at_this_instant += 1
            if self._iterations_at_this_instant > ITERATIONS_AT_ONE_INSTANT:
                raise StalledError(
                    f"time stands still at {self._now_s} s: something tries again and again without waiting"
                )
            if self._timers and self._timers[0][0] <= self._now_s:
                self._move_due_timers()
            count = len(ready)
            for _ in range(count):
                handle = popleft()
                if not handle._cancelled:  # noqa: SLF001 - as asyncio's own loop does
                    try:
                        handle._context.run(handle._callback, *handle._args)  # noqa: SLF001 - a handle belongs to its loop
                    except Exception as error:  # noqa: BLE001 - as Handle._run does
                        context = {"message": f"Exception in callback {handle!r}", "exception": error, "handle": handle}
                        self.call_exception_handler(context)
            self._callbacks_to_collection -= count
            if not ready or self._stopping:
                return

    def _anything_readable(self) -> bool:
        """Whether a descriptor is ready at this instant; then its callbacks are."""
        if self._descriptors is None:
            return False
        handles = self._descriptors.ready()
        self._ready.extend(handles)
        return bool(handles)

    def _advance(self) -> None:
        """Jump to the next timer. Raises `StalledError` when there is none."""
        timers = self._timers
        while timers and timers[0][2]._cancelled:  # noqa: SLF001 - a handle belongs to its loop
            heapq.heappop(timers)[2]._scheduled = False  # noqa: SLF001 - a handle belongs to its loop
            self._cancelled_timers -= 1
        if not timers:
            raise StalledError(f"nothing can happen any more at {self._now_s} s; waiting: {self._pending()}")
        next_s = timers[0][0]
        if self.limit_s is not None and next_s > self.limit_s:
            raise TimeLimitError(
                f"the virtual clock stands at {self._now_s} s, its limit is {self.limit_s} s; waiting: "
                f"{self._pending()}"
            )
        if next_s > self._now_s:
            self._now_s = next_s
            self._iterations_at_this_instant = 0
        self._move_due_timers()

    def _move_due_timers(self) -> None:
        timers, now_s = self._timers, self._now_s
        while timers and timers[0][0] <= now_s:
            timer = heapq.heappop(timers)[2]
            timer._scheduled = False  # noqa: SLF001 - a handle belongs to its loop
            if timer._cancelled:  # noqa: SLF001 - a handle belongs to its loop
                self._cancelled_timers -= 1
            else:
                self._ready.append(timer)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        # Called by asyncio. Most timers are timeouts that never fire: they must not pile up until their time comes.
        if handle._scheduled:  # noqa: SLF001 - a handle belongs to its loop
            self._cancelled_timers += 1
            if self._cancelled_timers > max(CANCELLED_TIMERS_WORTH_SWEEPING, len(self._timers) // 2):
                self._timers = [entry for entry in self._timers if not entry[2]._cancelled]  # noqa: SLF001 - a handle belongs to its loop
                heapq.heapify(self._timers)
                self._cancelled_timers = 0

    def _process_events(self, event_list: list[Any]) -> None:
        """There is no selector, so there are no events of one."""

    def _write_to_self(self) -> None:
        """There is no selector to be woken."""

    def _pending(self) -> str:
        """Every task that has not ended, and the line it waits at."""
        tasks = sorted(asyncio.all_tasks(self), key=lambda task: (len(task.get_name()), task.get_name()))
        return "; ".join(f"{task.get_name()} in {_where(task)}" for task in tasks) or "nothing"


def _where(task: "asyncio.Task[Any]") -> str:
    """The innermost line a task waits at."""
    waiting: Any = task.get_coro()
    line = getattr(waiting, "__qualname__", repr(waiting))
    while waiting is not None:
        frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
        if frame is None:
            break
        line = f"{frame.f_code.co_qualname} ({frame.f_code.co_filename.rpartition('/')[2]}:{frame.f_lineno})"
        waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
    return line


def _refusing(name: str) -> Callable[..., NoReturn]:
    def refuse(_: VirtualLoop, *_args: Any, **_options: Any) -> NoReturn:
        raise VirtualTimeError(f"{name} is not possible in virtual time: it needs the real world")

    refuse.__name__ = name
    return refuse


for _name in REFUSED:
    setattr(VirtualLoop, _name, _refusing(_name))


Loop = TypeVar("Loop", bound=VirtualLoop)


def run(
    main: Callable[[Loop], Coroutine[Any, Any, Result]],
    *,
    limit_s: float | None = None,
    loop_class: type[Loop] = VirtualLoop,
) -> Result:
    """Run `main(loop)` in virtual time from 0 on, on a loop of this class, and return what it returns.

    Raises `StalledError` or `TimeLimitError` when it can't end. What is still running when it ends is cancelled.
    """
    loop = loop_class(limit_s=limit_s)
    with library_clocks_follow(loop.time), _own_garbage_collection():
        try:
            return loop.run_until_complete(main(loop))
        finally:
            try:
                _cancel_unfinished(loop)
            finally:
                loop.close()


def _cancel_unfinished(loop: VirtualLoop) -> None:
    unfinished = sorted(asyncio.all_tasks(loop), key=lambda task: (len(task.get_name()), task.get_name()))
    for task in unfinished:
        task.cancel()
    loop._iterations_at_this_instant = 0  # noqa: SLF001 - a task that looped without waiting may still end
    if unfinished:
        loop.run_until_complete(_all_ended(unfinished))
    loop.run_until_complete(loop.shutdown_asyncgens())


async def _all_ended(tasks: list["asyncio.Task[Any]"]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def _own_garbage_collection() -> Iterator[None]:
    """While inside, the interpreter collects no garbage by itself: the loop does it, after a number of callbacks."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
