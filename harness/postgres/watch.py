"""Whether a PostgreSQL answers, and is still the one that it was: asked in intervals, around the proxy.

Each time a connection is opened and asks whether it may be encrypted, which a process that PostgreSQL's postmaster has
just started for it answers: of all that a new connection needs only the login is left out. So a machine, a container
or a postmaster that stands still is late. The connection then stays open until the next one is: when it ends by
itself, PostgreSQL has ended all of its processes, which it does when one of them crashed (it "reinitializes") and when
it is restarted. No login, no place among max_connections, no line in its log.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

import asyncio
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic
from typing import TypeAlias

from harness.heartbeat import REPORTED_S, Heartbeat, Stalled
from harness.model.protocol import SSL_REQUEST

EVERY_S = 0.2
AGAIN_S = 0.05
"""When it could not be reached."""
SETTLE_LIMIT_S = 1.0
MAY_ENCRYPT = struct.pack("!ii", 8, SSL_REQUEST)

Connection: TypeAlias = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Listening:
    """Who is told what becomes of a PostgreSQL. Moments are the monotonic clock's."""

    stalled: Stalled
    restarted: Callable[[float], None]


class PostgresWatch:
    """Watches the PostgreSQL at an address for as long as `run` runs."""

    def __init__(self, host: str, port: int, own_loop: Heartbeat) -> None:
        """`own_loop` is the heart of the loop that this runs on: what that stood still is not PostgreSQL's."""
        self._host = host
        self._port = port
        self._own_loop = own_loop
        self._listeners: list[Listening] = []
        self._asked_s: float | None = None
        """Since when an answer is waited for; None: none is."""
        self._asked_own_s = 0.0
        self._at_once = asyncio.Event()
        self._answers = 0
        self._news = asyncio.Event()

    @contextmanager
    def heard_by(self, listening: Listening) -> Iterator[None]:
        """While inside, this one is told; at the end also of what has not ended."""
        self._listeners.append(listening)
        try:
            yield
        finally:
            self._listeners.remove(listening)
            if self._asked_s is not None and (stalled_s := self._stalled_s()) >= REPORTED_S:
                listening.stalled(self._asked_s, stalled_s)

    async def settled(self) -> None:
        """Wait until it has answered once more, so that what has just happened is known; not for ever."""
        seen = self._answers + (self._asked_s is not None)
        self._at_once.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(SETTLE_LIMIT_S):
                while self._answers <= seen:
                    self._news.clear()
                    await self._news.wait()

    async def run(self) -> None:
        """Ask until cancelled."""
        open_: Connection | None = None
        try:
            while True:
                self._asked_s, self._asked_own_s = monotonic(), self._own_loop.stalled_s(monotonic())
                ended_s, open_ = await self._ask(open_)
                if ended_s is not None:
                    for listening in list(self._listeners):
                        listening.restarted(ended_s)
                if (stalled_s := self._stalled_s()) >= REPORTED_S:
                    for listening in list(self._listeners):
                        listening.stalled(self._asked_s, stalled_s)
                self._asked_s = None
                self._answers += 1
                self._news.set()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._at_once.wait(), EVERY_S)
                self._at_once.clear()
        finally:
            if open_ is not None:
                open_[1].transport.abort()

    def _stalled_s(self) -> float:
        """For how long the answer has been waited for, without what this loop itself stood still."""
        assert self._asked_s is not None
        now_s = monotonic()
        return now_s - self._asked_s - (self._own_loop.stalled_s(now_s) - self._asked_own_s)

    async def _ask(self, before: Connection | None) -> tuple[float | None, Connection]:
        """A connection that was answered, once there is one; and when PostgreSQL had ended the one before."""
        ended_s: float | None = None
        while True:
            try:
                reader, writer = await asyncio.open_connection(self._host, self._port)
            except OSError:
                ended_s = ended_s or monotonic()
                await asyncio.sleep(AGAIN_S)
                continue
            try:
                writer.write(MAY_ENCRYPT)
                await reader.readexactly(1)
            except (OSError, asyncio.IncompleteReadError):
                # It is recovering, or was ended in this moment.
                ended_s = ended_s or monotonic()
                writer.transport.abort()
                await asyncio.sleep(AGAIN_S)
                continue
            except BaseException:
                writer.transport.abort()
                raise
            if before is not None:
                if before[0].at_eof() or before[1].transport.is_closing():
                    ended_s = ended_s or monotonic()
                before[1].transport.abort()
            return ended_s, (reader, writer)
