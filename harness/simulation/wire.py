"""The PostgreSQL wire protocol, version 3, as the simulated backend needs it: what it writes to a client, and values.

Source: PostgreSQL's documentation, "Frontend/Backend Protocol": message formats, message flow, error fields.
"""

import struct
from collections.abc import Sequence

from harness.model.packets import ProtocolViolationError
from harness.model.protocol import message

PROTOCOL_3 = 196608
INT4, INT8, TEXT, BOOL, FLOAT8 = 23, 20, 25, 16, 701
INTEGERS = {2: "!h", 4: "!i", 8: "!q"}
"""By their length in bytes."""
TYPE_SIZES = {INT4: 4, INT8: 8, TEXT: -1, BOOL: 1, FLOAT8: 8}


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
    return message(b"t", struct.pack(f"!h{len(types)}I", len(types), *types))


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
