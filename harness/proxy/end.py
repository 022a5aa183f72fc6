"""One end of a proxied connection: its socket, and the place where the link that leads to it delivers."""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Protocol, cast

from harness.proxy.addresses import joined

RESET = struct.pack("ii", 1, 0)
"""SO_LINGER on, with no time to linger: the close is an RST."""


class EndOwner(Protocol):
    """The connection an end belongs to."""

    @property
    def is_closed(self) -> bool: ...

    def early(self, data: bytes) -> None:
        """Bytes came from an end that is not linked to the other one yet."""
        ...

    def source_ended(self, end: "End") -> None: ...

    def destination_ended(self) -> None: ...

    def close(self, *, reset: bool = False) -> None: ...


class End(asyncio.Protocol):
    """One end of a connection: the client's or the upstream's. Also the destination of the link that leads to it."""

    def __init__(self, owner: EndOwner) -> None:
        self.owner = owner
        self.transport: asyncio.Transport | None = None
        self.peer: End | None = None
        # Both are on the way of every byte: attributes, so that nothing stands between the socket and the link.
        self.data_received: Callable[[bytes], None] = owner.early  # type: ignore[assignment]
        self.write: Callable[[bytes], None] = _discard
        self.ended = False
        self._pauses: set[str] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.write = self.transport.write
        if self.owner.is_closed:
            # The proxy was disabled or removed between the accept (or the dial) and this.
            self.shut(reset=False)

    def eof_received(self) -> bool:
        self.owner.source_ended(self)
        return True  # the other direction goes on: a half-close is carried through

    @property
    def address(self) -> str | None:
        """The other side's `host:port`; None: it is not connected, or already gone."""
        peer = None if self.transport is None else self.transport.get_extra_info("peername")
        return None if peer is None else joined(*peer[:2])

    @property
    def is_gone(self) -> bool:
        return self.transport is None or self.transport.is_closing()

    @property
    def is_paused(self) -> bool:
        return bool(self._pauses)

    def connection_lost(self, exc: Exception | None) -> None:
        self.write = _discard
        # A reset goes on as a reset: the other end learns how this one ended.
        self.owner.close(reset=isinstance(exc, ConnectionResetError))
        self.transport = None

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
        self.write = _discard
        if self.transport is not None and not self.transport.is_closing():
            try:
                self.transport.write_eof()
            except OSError:
                # The peer ended its side, then reset the connection: after its end nothing is read, so it shows here.
                self.transport.abort()
        self.owner.destination_ended()

    def close_connection(self, *, reset: bool) -> None:
        self.owner.close(reset=reset)

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


def _discard(data: bytes) -> None:
    """Takes what is written to an end that is not connected yet, or not any more."""


class _Nobody:
    """Owns the ends that their connections have abandoned: nothing that happens there matters to anybody."""

    is_closed = True

    def early(self, data: bytes) -> None:
        """Goes nowhere."""

    def source_ended(self, end: End) -> None:
        end.shut(reset=False)

    def destination_ended(self) -> None:
        """Nothing was waiting for it."""

    def close(self, *, reset: bool = False) -> None:
        """It is closed already."""


NOBODY = _Nobody()
