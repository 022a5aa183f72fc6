"""One TCP connection in memory: two ends, each an asyncio transport, and a direction each way.

          write                                            data_received
client ─────────▶ End ── Direction (delay, order kept) ──▶ End ─────────▶ server
          ◀───────── End ◀── Direction ─────────────────── End ◀─────────
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, TypeAlias, cast

from harness.model.kernel import LINUX_6_5, Kernel
from harness.model.times import no_way
from harness.simulation.loop import VirtualLoop
from harness.simulation.silence import Retransmission, Socket, never

FIN = "FIN"
RST = "RST"
Segment: TypeAlias = bytes | str
"""Bytes, or FIN, or RST."""

SOCKET_BUFFER_BYTES = 256 * 1024
"""What the kernels hold between two ends before a transport has to hold it itself."""
HIGH_WATER_BYTES = 64 * 1024
LOW_WATER_BYTES = HIGH_WATER_BYTES // 4
"""asyncio's own defaults for a transport's write buffer."""


class Direction:
    """One way of a connection: segments arrive in the order in which they were sent, each after its delay."""

    __slots__ = (
        "_at_once", "_context", "_in_flight", "_last_arrival_s", "_loop", "_takes_no_time", "cut", "draw_way_s",
        "receive", "unacknowledged",
    )  # fmt: skip

    def __init__(self, loop: VirtualLoop, draw_way_s: Callable[[], float], *, at_once: bool) -> None:
        self._loop = loop
        self._at_once = at_once
        self._in_flight: deque[Segment] = deque()
        self._last_arrival_s = 0.0
        self._takes_no_time = draw_way_s is no_way
        self._context = copy_context()
        """Of all arrivals without a delay: nobody at either end looks at it, and a copy for each costs."""
        self.draw_way_s = draw_way_s
        self.receive: Callable[[Segment], None] = _discard
        self.cut = False
        self.unacknowledged: Callable[[], None] = _nobody_minds
        """Called when something is sent and nothing arrives any more."""

    def send(self, segment: Segment) -> None:
        if self._takes_no_time and not self.cut:
            # Nothing is ever in flight: what is called soon is called in the order of its calls.
            if self._at_once:
                self.receive(segment)
            else:
                self._loop.call_soon(self._arrive_now, segment, context=self._context)
            return
        if self.cut:
            if segment is not RST:
                self.unacknowledged()
            return
        now_s = self._loop.time()
        arrival_s = now_s + self.draw_way_s()
        if arrival_s > now_s or self._last_arrival_s > now_s:
            self._last_arrival_s = arrival_s = max(self._last_arrival_s, arrival_s)
            self._in_flight.append(segment)
            self._loop.call_at(arrival_s, self._arrive)
        elif self._at_once and not self._in_flight:
            self.receive(segment)
        else:
            # Not within `send`: asyncio never answers a protocol inside its own write().
            self._in_flight.append(segment)
            self._loop.call_soon(self._arrive)

    @property
    def carries_data(self) -> bool:
        """Whether something is under way."""
        return any(isinstance(segment, bytes) for segment in self._in_flight)

    def _arrive_now(self, segment: Segment) -> None:
        if not self.cut:
            self.receive(segment)

    def _arrive(self) -> None:
        # As many arrivals are scheduled as segments are in flight, in order of time: the next is the oldest.
        segment = self._in_flight.popleft()
        if not self.cut:
            self.receive(segment)


def _discard(segment: Segment) -> None:
    """Receives for an end that is gone."""


def _nobody_minds() -> None:
    """For a direction whose sender's kernel has its acknowledgements from somebody between the two ends."""


class End(asyncio.Transport):
    """One end. What a transport's user may rely on is asyncio's documentation of transports."""

    def __init__(self, loop: VirtualLoop, address: tuple[str, int], kernel: Kernel) -> None:
        self._socket = Socket(self._note_what_is_heard, address)
        super().__init__({"socket": self._socket, "peername": address})
        self._loop = loop
        self._kernel = kernel
        self._heard_s = 0.0
        """When something arrived for the last time; known only where somebody asked for keepalives."""
        self._retransmission: Retransmission | None = None
        self._protocol: asyncio.Protocol | None = None
        self._out: Direction
        self._peer: End
        self._unread: deque[Segment] = deque()
        self._reading = True
        self._closing = False
        self._wrote_eof = False
        self._lost = False
        self._unacknowledged_bytes = 0
        self._writer_paused = False
        self._high_bytes = HIGH_WATER_BYTES
        self._low_bytes = LOW_WATER_BYTES

    # asyncio.Transport:

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._protocol = cast("asyncio.Protocol", protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self._protocol is not None
        return self._protocol

    def is_closing(self) -> bool:
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._wrote_eof:
            raise RuntimeError("Cannot call write() after write_eof()")
        # What is written to a transport that has been closed is lost, as in asyncio.
        if self._closing or not data:
            return
        segment = bytes(data)
        self._unacknowledged_bytes += len(segment)
        self._out.send(segment)
        if self._unacknowledged_bytes > SOCKET_BUFFER_BYTES + self._high_bytes and not self._writer_paused:
            self._writer_paused = True
            self.get_protocol().pause_writing()

    def writelines(self, list_of_data: Any) -> None:
        self.write(b"".join(list_of_data))

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        if not self._wrote_eof and not self._closing:
            self._wrote_eof = True
            self._out.send(FIN)

    def close(self) -> None:
        """FIN after what was written; the protocol hears `connection_lost(None)`."""
        if self._closing:
            return
        if not self._wrote_eof:
            self._out.send(FIN)
        self._end(None)

    def abort(self) -> None:
        """RST at once."""
        if not self._lost:
            self._out.send(RST)
            self._end(None)

    def is_reading(self) -> bool:
        return self._reading and not self._closing

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        if self._reading or self._closing:
            return
        self._reading = True
        if self._unread:
            self._loop.call_soon(self._read)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._high_bytes = HIGH_WATER_BYTES if high is None else high
        self._low_bytes = self._high_bytes // 4 if low is None else low

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._low_bytes, self._high_bytes

    def get_write_buffer_size(self) -> int:
        """What the kernels' buffers did not take."""
        return max(0, self._unacknowledged_bytes - SOCKET_BUFFER_BYTES)

    # The network's:

    def cut(self) -> None:
        """From now on nothing arrives at either end, and neither is told: the connection is half-open."""
        self._out.cut = True
        self._peer._out.cut = True  # noqa: SLF001 - the other end of the same connection

    def freeze(self) -> None:
        """This end's process is gone, and a proxy that keeps the connection open acknowledges what the other sends."""
        self.cut()
        self._end(None)

    def vanish(self, *, is_back: Callable[[], bool] = never, unacknowledged: bool = False) -> None:
        """This end is gone with its machine, or with the way to it; nobody acknowledges what the other end sends.

        `is_back` says whether there is a machine at its address again, which answers by RST. `unacknowledged`: the
        other end has just sent something.
        """
        client = self._peer
        way = client._out  # noqa: SLF001 - the other end of the same pair
        unacknowledged = unacknowledged or way.carries_data
        self.cut()
        self._end(None)
        client._silenced(way, is_back, unacknowledged=unacknowledged)  # noqa: SLF001 - the other end of the same pair

    @property
    def peer_probes_every_s(self) -> float | None:
        """How often the other end's kernel sends a keepalive where nothing else is sent; None: never."""
        keepalive = self._peer._socket.keepalive  # noqa: SLF001 - the other end of the same pair
        return None if keepalive is None else keepalive.idle_s

    def _silenced(self, way: Direction, is_back: Callable[[], bool], *, unacknowledged: bool) -> None:
        if self._lost:
            return
        self._retransmission = Retransmission(
            self._loop,
            self._kernel,
            draw_way_s=way.draw_way_s,
            is_back=is_back,
            ended=self._end,
            keepalive=self._socket.keepalive,
            heard_s=self._heard_s,
        )
        way.unacknowledged = self._retransmission.sent
        if unacknowledged:
            self._retransmission.sent()

    def _note_what_is_heard(self) -> None:
        """From now on, because of the keepalives: they count from then."""
        self._heard_s = self._loop.time()
        towards = self._peer._out  # noqa: SLF001 - the other end of the same pair
        towards.receive = self._receive_noting

    def _receive_noting(self, segment: Segment) -> None:
        self._heard_s = self._loop.time()
        self._receive(segment)

    def _receive(self, segment: Segment) -> None:
        if type(segment) is bytes and self._reading and not self._lost and not self._unread:
            # Nearly always; `_take` is the same for what had to wait.
            peer = self._peer
            peer._unacknowledged_bytes -= len(segment)  # noqa: SLF001 - the other end of the same pair
            if peer._writer_paused:  # noqa: SLF001 - the other end of the same pair
                peer._acknowledged(0)  # noqa: SLF001 - the other end of the same pair
            self._protocol.data_received(segment)  # type: ignore[union-attr]
        elif self._lost:
            # Nobody is here any more: a kernel answers data with RST.
            if segment not in (FIN, RST):
                self._out.send(RST)
        elif segment is RST:
            self._end(ConnectionResetError("Connection reset by peer"))
        elif self._reading and not self._unread:
            self._take(segment)
        else:
            self._unread.append(segment)

    def _read(self) -> None:
        while self._unread and self._reading and not self._lost:
            self._take(self._unread.popleft())

    def _take(self, segment: Segment) -> None:
        assert self._protocol is not None
        if isinstance(segment, bytes):
            self._peer._acknowledged(len(segment))  # noqa: SLF001 - the other end of the same pair
            self._protocol.data_received(segment)
        elif not self._protocol.eof_received():
            self.close()

    def _acknowledged(self, count: int) -> None:
        self._unacknowledged_bytes -= count
        if self._writer_paused and self.get_write_buffer_size() <= self._low_bytes:
            self._writer_paused = False
            self.get_protocol().resume_writing()

    def _end(self, error: Exception | None) -> None:
        if self._lost:
            return
        self._lost = self._closing = True
        if self._retransmission is not None:
            self._retransmission.stop()
        self._unread.clear()
        self._loop.call_soon(self._tell_lost, error)

    def _tell_lost(self, error: Exception | None) -> None:
        assert self._protocol is not None
        self._protocol.connection_lost(error)


def connected_pair(
    loop: VirtualLoop, draw_way_s: Callable[[], float], address: tuple[str, int], kernel: Kernel = LINUX_6_5
) -> tuple[End, End]:
    """The client's end and the server's end of a new connection between machines with this kernel."""
    client, server = End(loop, address, kernel), End(loop, address, kernel)
    # The backend answers on the other direction, so what it receives may reach it at once. Never the client: asyncpg
    # writes first and notes what it waits for afterwards. Answered inside that write, its `prepare` finds
    # `self.statement` still None and calls into it from C: the interpreter dies, or spins (asyncpg 0.31 and 0.32,
    # protocol.pyx, `prepare`: `_prepare_and_describe` comes before `self.statement = state`).
    to_server, to_client = Direction(loop, draw_way_s, at_once=True), Direction(loop, draw_way_s, at_once=False)
    client._out, server._out = to_server, to_client  # noqa: SLF001 - one connection is made of these four
    client._peer, server._peer = server, client  # noqa: SLF001 - the other end of the same pair
    to_server.receive, to_client.receive = server._receive, client._receive  # noqa: SLF001 - the other end of the same pair
    return client, server
