"""One client's connection through a proxy: two ends, a link each way, and what a compute may do to it."""

import asyncio
import socket
import struct
from collections.abc import Callable
from enum import StrEnum
from time import monotonic
from typing import TYPE_CHECKING, cast

from harness.model.compute import ErrorResponse
from harness.model.protocol import encoded
from harness.processes.messages import DialFailed
from harness.proxy.link import AttachedToxic, Link
from harness.proxy.startup import StartupAnswer

if TYPE_CHECKING:
    from harness.proxy.proxy import Proxy

EARLY_LIMIT = 2**16
"""Bytes kept of a client that speaks before it is connected onward; more are left in its socket."""
RESET = struct.pack("ii", 1, 0)


class Stage(StrEnum):
    """Where a connection stands."""

    ACCEPTED = "accepted"
    HELD = "held"
    DIALLING = "dialling"
    OPEN = "open"
    PAUSED = "paused"
    FROZEN = "frozen"
    FAILING = "failing"
    CLOSED = "closed"


class End(asyncio.Protocol):
    """One end of a connection: the client's or the upstream's. Also the destination of the link that leads to it."""

    def __init__(self, connection: "Connection") -> None:
        self.connection = connection
        self.transport: asyncio.Transport | None = None
        self.peer: End | None = None
        # Both are on the way of every byte: attributes, so that nothing stands between the socket and the link.
        self.data_received: Callable[[bytes], None] = connection.early  # type: ignore[assignment]
        self.write: Callable[[bytes], None] = _nowhere
        self.ended = False
        self._pauses: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        if self.connection.stage is Stage.CLOSED:
            # The proxy was disabled or removed between the accept and this.
            self.shut(reset=False)

    def eof_received(self) -> bool:
        self.connection.source_ended(self)
        return True  # the other direction goes on: a half-close is carried through

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self.write = _nowhere
        # A reset goes on as a reset: the other end learns how this one ended.
        self.connection.close(reset=isinstance(exc, ConnectionResetError))

    def pause_writing(self) -> None:
        if self.peer is not None:
            self.peer.pause("destination is slow")

    def resume_writing(self) -> None:
        if self.peer is not None:
            self.peer.resume("destination is slow")

    def pause(self, why: str) -> None:
        """Read no more from here until every reason to pause is gone."""
        if not self._pauses and self.transport is not None:
            self.transport.pause_reading()
        self._pauses.add(why)

    def resume(self, why: str) -> None:
        self._pauses.discard(why)
        if not self._pauses and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    # As the destination of a link:

    def end(self) -> None:
        self.ended = True
        self.write = _nowhere
        if self.transport is not None and self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        self.connection.destination_ended()

    def close_connection(self, *, reset: bool) -> None:
        self.connection.close(reset=reset)

    def hold_source(self, *, held: bool) -> None:
        if self.peer is not None:
            (self.peer.pause if held else self.peer.resume)("toxics are full")

    def shut(self, *, reset: bool) -> None:
        """Close this end: by FIN after what is still to be written, or by RST at once."""
        if self.transport is None:
            return
        if reset:
            handle = self.transport.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.transport.abort()
        else:
            self.transport.close()


def _nowhere(data: bytes) -> None:
    """Takes what is written to an end that is not there yet, or not any more."""


class Connection:
    """A client that was accepted, from there to its end."""

    def __init__(self, proxy: "Proxy", number: int) -> None:
        self.proxy = proxy
        self.number = number
        self.stage = Stage.ACCEPTED
        self.client = End(self)
        self.upstream = End(self)
        self.client.peer, self.upstream.peer = self.upstream, self.client
        self.to_upstream: Link | None = None
        self.to_client: Link | None = None
        self.dialling: asyncio.Task[None] | None = None
        self._early: list[bytes] = []
        self._early_size = 0
        self._client_ended = False
        self._answer: StartupAnswer | None = None

    @property
    def links(self) -> list[Link]:
        return [link for link in (self.to_upstream, self.to_client) if link is not None]

    def early(self, data: bytes) -> None:
        """The client speaks before it is connected onward, or while it is paused or frozen."""
        if self.stage is Stage.FROZEN or self.stage is Stage.CLOSED:
            return
        if self._answer is not None:
            self._answer.feed(data)
            return
        self._early.append(data)
        self._early_size += len(data)
        if self._early_size > EARLY_LIMIT:
            self.client.pause("not connected onward")
        if self.stage is Stage.PAUSED:
            self.proxy.client_spoke(self)

    def hold(self) -> None:
        self.stage = Stage.HELD

    def fail(self, error: ErrorResponse) -> None:
        """Answer the startup message with `error`, then close."""
        self.stage = Stage.FAILING
        self._answer = StartupAnswer(error, self.client.write, self.close)
        for data in self._early:
            self._answer.feed(data)

    def dial(self) -> None:
        """Connect onward, then let the bytes move."""
        self.stage = Stage.DIALLING
        self.dialling = asyncio.get_running_loop().create_task(self._dial())

    async def _dial(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            host, port = self.proxy.upstream_address
            await loop.create_connection(lambda: self.upstream, host, port)
        except OSError as error:
            # As Toxiproxy: a client whose upstream can't be reached sees an end of file.
            self.proxy.report(
                DialFailed(proxy=self.proxy.name, at_s=monotonic(), connection=self.number, error=str(error))
            )
            self.close()
            return
        if self.stage is not Stage.DIALLING:
            self.upstream.shut(reset=False)
            return
        self._open()

    def _open(self) -> None:
        self.stage = Stage.OPEN
        self.to_upstream = Link(self.upstream, self.proxy.toxics_of("upstream"))
        self.to_client = Link(self.client, self.proxy.toxics_of("downstream"))
        self._connect_ends()
        self._flush_early()
        self.proxy.opened(self)
        if self._client_ended:
            self.to_upstream.end()

    def _connect_ends(self) -> None:
        assert self.to_upstream is not None
        assert self.to_client is not None
        watch = self.proxy.watches_bytes
        self.client.data_received = self._watched_client if watch else self.to_upstream.feed
        self.upstream.data_received = self._watched_server if watch else self.to_client.feed

    def _flush_early(self) -> None:
        assert self.to_upstream is not None
        early, self._early, self._early_size = self._early, [], 0
        for data in early:
            self._watched_client(data)
        self.client.resume("not connected onward")

    def _watched_client(self, data: bytes) -> None:
        assert self.to_upstream is not None
        self.proxy.client_spoke(self)
        self.to_upstream.feed(data)

    def _watched_server(self, data: bytes) -> None:
        assert self.to_client is not None
        self.proxy.server_spoke(self, data)
        self.to_client.feed(data)

    def pause(self) -> None:
        """Keep both ends, and keep back what the client sends. One that is being dialled is held instead."""
        if self.stage is Stage.DIALLING:
            if self.dialling is not None:
                self.dialling.cancel()
            self.hold()
            return
        self.stage = Stage.PAUSED
        self.client.data_received = self.early

    def release(self) -> None:
        """The wake: a held connection is dialled, a paused one goes on."""
        if self.stage is Stage.HELD:
            self.dial()
        elif self.stage is Stage.PAUSED:
            self.stage = Stage.OPEN
            self._connect_ends()
            self._flush_early()
            self.proxy.opened(self)

    def freeze(self) -> None:
        """Half-open: the upstream session ends; the client hears nothing, and what it sends goes nowhere."""
        self.stage = Stage.FROZEN
        self.client.data_received = self.early
        self.client.peer = None
        for link in self.links:
            link.close()
        self.upstream.connection = _NOBODY
        self.upstream.shut(reset=False)

    def terminate(self, error: ErrorResponse) -> None:
        """Say `error` to the client, then close."""
        self.client.write(encoded(error))
        self.close()

    def source_ended(self, end: End) -> None:
        """An end will send no more."""
        if self.stage in (Stage.OPEN, Stage.PAUSED) and end is self.upstream:
            assert self.to_client is not None
            self.to_client.end()
        elif self.stage is Stage.OPEN:
            assert self.to_upstream is not None
            self.to_upstream.end()
        elif self.stage is Stage.DIALLING and end is self.client:
            # It has said all it has to say, before there was anyone to say it to.
            self._client_ended = True
        else:
            # A client that leaves before it is connected onward, or a frozen one that gives up.
            self.close()

    def destination_ended(self) -> None:
        if self.client.ended and self.upstream.ended:
            self.close()

    def add_toxic(self, attached: AttachedToxic) -> None:
        for link in self._links_of(attached):
            link.add(attached)

    def update_toxic(self, attached: AttachedToxic) -> None:
        for link in self._links_of(attached):
            link.update(attached)

    def remove_toxic(self, attached: AttachedToxic) -> None:
        for link in self._links_of(attached):
            link.remove(attached)

    def _links_of(self, attached: AttachedToxic) -> list[Link]:
        link = self.to_upstream if attached.stream == "upstream" else self.to_client
        return [link] if link is not None else []

    def close(self, *, reset: bool = False) -> None:
        """End the connection at both ends. Does nothing the second time."""
        if self.stage is Stage.CLOSED:
            return
        self.stage = Stage.CLOSED
        for link in self.links:
            link.close()
        self.client.shut(reset=reset)
        self.upstream.shut(reset=reset)
        self.proxy.closed(self)


class _Nobody(Connection):
    """Stands behind the upstream end of a frozen connection, which nobody listens to any more."""

    def __init__(self) -> None:
        pass

    def source_ended(self, end: End) -> None:
        end.shut(reset=False)

    def close(self, *, reset: bool = False) -> None:
        pass


_NOBODY = _Nobody()
