"""Packets of PostgreSQL's wire protocol, version 3: cut from a stream of bytes, and the fields of one read.

Source: PostgreSQL's documentation, "Message Formats".
"""

import struct
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from harness.model.protocol import STARTUP_LIMIT

MESSAGE_LIMIT = 2**30 - 1
"""PostgreSQL's limit for one message."""

INT = struct.Struct("!i")
TYPES = [chr(code) for code in range(256)]


class ProtocolViolationError(Exception):
    """A client sent what no client may send; PostgreSQL answers FATAL 08P01 and hangs up."""


@dataclass(frozen=True, slots=True)
class Startup:
    """The first packet of a connection: its code (the protocol's version, or a request) and what follows."""

    code: int
    body: bytes

    def parameters(self) -> dict[str, str]:
        """Of a real startup: user, database, application_name, …"""
        texts = self.body.split(b"\0")
        pairs = zip(texts[0::2], texts[1::2], strict=False)
        return {name.decode(): value.decode() for name, value in pairs if name}


class Message(NamedTuple):
    """A later message: its type, one letter, and its body. A tuple, because there are dozens a request."""

    type: str
    body: bytes


class ClientMessages:
    """Splits what a client sends into packets, however the bytes are cut."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.started = False
        """Whether the startup is over and messages have a type."""

    @property
    def midway(self) -> bool:
        """Whether a packet has begun and not ended."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> Iterator[Startup | Message]:
        """Every whole packet so far. Raises `ProtocolViolationError` for a length that can't be."""
        if self.started and not self._buffer:
            # The usual case: whole messages arrive. They are cut from the data that came, and nothing is buffered.
            data = yield from self._whole_messages(data)
        self._buffer += data
        while (packet := self._next()) is not None:
            yield packet

    def _whole_messages(self, data: bytes) -> Generator[Message, None, bytes]:
        """Yields the whole messages at the start of `data`, and returns the rest of it."""
        position, size = 0, len(data)
        while size - position >= 5:
            (length,) = INT.unpack_from(data, position + 1)
            end = position + 1 + length
            if length < 4 or end > size:
                break
            yield Message(TYPES[data[position]], data[position + 5 : end])
            position = end
        return data[position:]

    def _next(self) -> Startup | Message | None:
        buffer = self._buffer
        head = 5 if self.started else 4
        if len(buffer) < head:
            return None
        (length,) = struct.unpack_from("!i", buffer, head - 4)
        least, most = (4, MESSAGE_LIMIT) if self.started else (8, STARTUP_LIMIT)
        if not least <= length <= most:
            raise ProtocolViolationError(f"invalid message length {length}")
        end = head - 4 + length
        if len(buffer) < end:
            return None
        body = bytes(buffer[head:end])
        type_ = chr(buffer[0]) if self.started else ""
        del buffer[:end]
        return Message(type_, body) if self.started else Startup(struct.unpack_from("!i", body)[0], body[4:])


class Reader:
    """Reads the fields of one message's body. Raises `ProtocolViolationError` where the body ends too early."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def int2(self) -> int:
        return int(self._unpack("!h", 2))

    def int4(self) -> int:
        return int(self._unpack("!i", 4))

    def oid(self) -> int:
        """Unsigned."""
        return int(self._unpack("!I", 4))

    def string(self) -> str:
        end = self._body.find(b"\0", self._at)
        if end < 0:
            raise ProtocolViolationError("invalid string in message")
        value, self._at = self._body[self._at : end], end + 1
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise ProtocolViolationError("invalid byte sequence for encoding UTF8") from error

    def take(self, count: int) -> bytes:
        if count < 0 or self._at + count > len(self._body):
            raise ProtocolViolationError("insufficient data left in message")
        value, self._at = self._body[self._at : self._at + count], self._at + count
        return value

    def rest(self) -> bytes:
        value, self._at = self._body[self._at :], len(self._body)
        return value

    def _unpack(self, form: str, size: int) -> int:
        value: int = struct.unpack(form, self.take(size))[0]
        return value
