"""The PostgreSQL wire protocol, version 3, as the simulated backend needs it: reading a client, writing to it.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol": message formats, message flow, error fields.
"""

import struct
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from harness.model.protocol import STARTUP_LIMIT, message

PROTOCOL_3 = 196608
MESSAGE_LIMIT = 2**30 - 1
"""PostgreSQL's limit for one message."""

INT = struct.Struct("!i")
TYPES = [chr(code) for code in range(256)]
INT4, INT8, TEXT, BOOL, FLOAT8 = 23, 20, 25, 16, 701
INTEGERS = {2: "!h", 4: "!i", 8: "!q"}
"""By their length in bytes."""
TYPE_SIZES = {INT4: 4, INT8: 8, TEXT: -1, BOOL: 1, FLOAT8: 8}


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


def text(value: str) -> bytes:
    """A string as the protocol has it."""
    return value.encode() + b"\0"


AUTHENTICATION_OK = message(b"R", struct.pack("!i", 0))
PARSE_COMPLETE = message(b"1")
BIND_COMPLETE = message(b"2")
CLOSE_COMPLETE = message(b"3")
NO_DATA = message(b"n")
EMPTY_QUERY_RESPONSE = message(b"I")
READY = {status: message(b"Z", status.encode()) for status in "ITE"}
"""ReadyForQuery: idle, in a transaction, in a failed one."""


def authentication(code: int, body: bytes = b"") -> bytes:
    """An authentication request: 10 SASL, 11 SASLContinue, 12 SASLFinal."""
    return message(b"R", struct.pack("!i", code) + body)


def parameter_status(name: str, value: str) -> bytes:
    return message(b"S", text(name) + text(value))


def backend_key_data(process_id: int, secret: int) -> bytes:
    return message(b"K", struct.pack("!ii", process_id, secret))


def command_complete(tag: str) -> bytes:
    return message(b"C", text(tag))


def notification(process_id: int, channel: str, payload: str) -> bytes:
    return message(b"A", struct.pack("!i", process_id) + text(channel) + text(payload))


def parameter_description(types: Sequence[int]) -> bytes:
    return message(b"t", struct.pack(f"!h{len(types)}i", len(types), *types))


def row_description(columns: Sequence[tuple[str, int]], *, binary: bool) -> bytes:
    """The columns of a result: name and type."""
    described = (
        text(name) + struct.pack("!ihihih", 0, 0, type_, TYPE_SIZES[type_], -1, int(binary)) for name, type_ in columns
    )
    return message(b"T", struct.pack("!h", len(columns)) + b"".join(described))


def data_row(values: Sequence[bytes | None]) -> bytes:
    """One row, its values encoded; None is NULL."""
    encoded = (struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value for value in values)
    return message(b"D", struct.pack("!h", len(values)) + b"".join(encoded))


def encode(value: object, type_: int, *, binary: bool) -> bytes | None:
    """A value of one of `TYPE_SIZES`, in the format asked for."""
    if value is None:
        return None
    if not binary:
        return (("t" if value else "f") if type_ == BOOL else str(value)).encode()
    if type_ == TEXT:
        return str(value).encode()
    return struct.pack({INT4: "!i", INT8: "!q", BOOL: "!?", FLOAT8: "!d"}[type_], value)


def decode(value: bytes | None, type_: int, *, binary: bool) -> object:
    """The inverse of `encode`. Raises `ProtocolViolationError` for bytes that are no such value."""
    if value is None:
        return None
    try:
        if type_ == TEXT:
            return value.decode()
        if not binary:
            return value == b"t" if type_ == BOOL else float(value) if type_ == FLOAT8 else int(value)
        if type_ in (INT4, INT8):
            # psycopg sends a number in as few bytes as it needs, and says so as it has it parsed.
            return struct.unpack(INTEGERS[len(value)], value)[0]
        return struct.unpack({BOOL: "!?", FLOAT8: "!d"}[type_], value)[0]
    except (struct.error, ValueError, KeyError) as error:
        raise ProtocolViolationError(f"incorrect data for a parameter: {error}") from error


class Reader:
    """Reads the fields of one message's body. Raises `ProtocolViolationError` where the body ends too early."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._at = 0

    def int2(self) -> int:
        return int(self._unpack("!h", 2))

    def int4(self) -> int:
        return int(self._unpack("!i", 4))

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
