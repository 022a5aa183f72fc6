"""PostgreSQL's values from one wire format to the other, for the types that clients ask for in either.

Source: the types' send and receive functions in PostgreSQL's source, src/backend/utils/adt.
"""

import struct
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

BOOL, BYTEA, NAME, INT8, INT2, INT4, TEXT, OID, JSON = 16, 17, 19, 20, 21, 23, 25, 26, 114
FLOAT4, FLOAT8, UNKNOWN, BPCHAR, VARCHAR, DATE, TIMESTAMP, TIMESTAMPTZ = 700, 701, 705, 1042, 1043, 1082, 1114, 1184
CHAR, NUMERIC, UUID, JSONB, XML, REGTYPE, REGCLASS = 18, 1700, 2950, 3802, 142, 2206, 2205
TEXTS = frozenset({NAME, TEXT, JSON, UNKNOWN, BPCHAR, VARCHAR, CHAR, XML})
"""Types whose binary format is their text."""
INTEGERS = {INT2: "!h", INT4: "!i", INT8: "!q", OID: "!I"}
BY_SIZE = {2: "!h", 4: "!i", 8: "!q"}
FLOATS = {FLOAT4: "!f", FLOAT8: "!d"}
EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL counts days and microseconds from here."""
ARRAYS = {
    1000: BOOL, 1001: BYTEA, 1003: NAME, 1005: INT2, 1007: INT4, 1016: INT8, 1009: TEXT, 1015: VARCHAR, 1014: BPCHAR,
    1028: OID, 1021: FLOAT4, 1022: FLOAT8, 1182: DATE, 1115: TIMESTAMP, 1185: TIMESTAMPTZ, 1231: NUMERIC, 2951: UUID,
    199: JSON, 3807: JSONB,
}  # fmt: skip
"""Array types by the types of their elements: the oids of pg_type.dat never change."""
NUMERIC_POSITIVE, NUMERIC_NEGATIVE = 0x0000, 0x4000


class NotConvertibleError(Exception):
    """A value of a type that is kept in the one format it came in."""


@dataclass(frozen=True, slots=True)
class _Codec:
    to_text: Callable[[bytes], bytes]
    to_binary: Callable[[bytes], bytes]


def converted(value: bytes | None, type_: int, *, from_: int, to: int) -> bytes | None:
    """A value in the other format: 0 text, 1 binary. Raises `NotConvertibleError`."""
    if value is None or from_ == to or type_ in TEXTS:
        return value
    codec = _codec(type_)
    try:
        return codec.to_text(value) if to == 0 else codec.to_binary(value)
    except (ValueError, KeyError, struct.error, OverflowError) as error:
        raise NotConvertibleError(f"a value of type {type_}") from error


@lru_cache(maxsize=4096)
def canonical(value: bytes | None, type_: int, form: int) -> bytes | None:
    """What two values have in common that were sent in different formats or sizes: their text, where it is known."""
    if value is None or form == 0 or type_ in TEXTS:
        return value
    if type_ in INTEGERS and len(value) in BY_SIZE:
        return str(struct.unpack(BY_SIZE[len(value)], value)[0]).encode()
    try:
        return converted(value, type_, from_=1, to=0)
    except NotConvertibleError:
        return value


@lru_cache(maxsize=256)
def _codec(type_: int) -> _Codec:
    if type_ in INTEGERS:
        form = INTEGERS[type_]
        return _Codec(
            lambda data: str(struct.unpack(form, data)[0]).encode(), lambda data: struct.pack(form, int(data))
        )
    if type_ in FLOATS:
        form = FLOATS[type_]
        return _Codec(lambda data: _float(struct.unpack(form, data)[0]), lambda data: struct.pack(form, float(data)))
    if type_ in ARRAYS:
        element = ARRAYS[type_]
        return _Codec(lambda data: _array_text(data, element), lambda data: _array_binary(data, element))
    codec = _CODECS.get(type_)
    if codec is None:
        raise NotConvertibleError(f"a value of type {type_}")
    return codec


def _float(value: float) -> bytes:
    if value in (float("inf"), float("-inf")):
        return b"Infinity" if value > 0 else b"-Infinity"
    text = "NaN" if value != value else repr(value)  # noqa: PLR0124 - not equal to itself
    return text.removesuffix(".0").encode()


def _bool_binary(data: bytes) -> bytes:
    return {b"t": b"\1", b"f": b"\0", b"true": b"\1", b"false": b"\0"}[data]


def _bytea_binary(data: bytes) -> bytes:
    if not data.startswith(b"\\x"):
        raise ValueError(data)
    return bytes.fromhex(data[2:].decode())


def _date_text(data: bytes) -> bytes:
    return (EPOCH.date() + timedelta(days=struct.unpack("!i", data)[0])).isoformat().encode()


def _date_binary(data: bytes) -> bytes:
    return struct.pack("!i", (date.fromisoformat(data.decode()) - EPOCH.date()).days)


def _timestamp_text(data: bytes) -> bytes:
    moment = EPOCH + timedelta(microseconds=struct.unpack("!q", data)[0])
    text = moment.strftime("%Y-%m-%d %H:%M:%S.%f")
    return text.rstrip("0").rstrip(".").encode() if moment.microsecond else text[:19].encode()


def _timestamp_binary(data: bytes) -> bytes:
    moment = datetime.fromisoformat(_full_zone(data.decode()))
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return struct.pack("!q", (moment - EPOCH) // timedelta(microseconds=1))


def _full_zone(text: str) -> str:
    # PostgreSQL writes +00, Python before 3.11 and some of its versions read +00:00 only.
    return f"{text}:00" if len(text) > 19 and text[-3] in "+-" else text


def _numeric_text(data: bytes) -> bytes:
    count, weight, sign, scale = struct.unpack_from("!hhHH", data)
    if sign not in (NUMERIC_POSITIVE, NUMERIC_NEGATIVE):
        return {0xC000: b"NaN", 0xD000: b"Infinity", 0xF000: b"-Infinity"}[sign]
    digits = struct.unpack_from(f"!{count}h", data, 8)
    whole = "".join(f"{digits[i] if i < count else 0:04d}" for i in range(weight + 1)).lstrip("0") or "0"
    behind = "".join(
        f"{digits[i] if 0 <= i < count else 0:04d}" for i in range(weight + 1, weight + 1 + (scale + 3) // 4)
    )[:scale]
    return (("-" if sign == NUMERIC_NEGATIVE else "") + whole + (f".{behind}" if scale else "")).encode()


def _numeric_binary(data: bytes) -> bytes:
    special = {b"NaN": 0xC000, b"Infinity": 0xD000, b"-Infinity": 0xF000}
    if data in special:
        return struct.pack("!hhHH", 0, 0, special[data], 0)
    whole, _, behind = data.decode().lstrip("-").partition(".")
    if not (whole + behind).isdecimal():
        raise ValueError(data)
    scale = len(behind)
    whole = whole.rjust(-(-len(whole) // 4) * 4, "0")
    behind = behind.ljust(-(-len(behind) // 4) * 4, "0")
    weight = len(whole) // 4 - 1
    digits = [int((whole + behind)[at : at + 4]) for at in range(0, len(whole + behind), 4)]
    while digits and digits[0] == 0:
        digits.pop(0)
        weight -= 1
    while digits and digits[-1] == 0:
        digits.pop()
    sign = NUMERIC_NEGATIVE if data.startswith(b"-") and digits else NUMERIC_POSITIVE
    return struct.pack(f"!hhHH{len(digits)}h", len(digits), weight if digits else 0, sign, scale, *digits)


def _array_text(data: bytes, element: int) -> bytes:
    dimensions, _, _ = struct.unpack_from("!iii", data)
    if dimensions == 0:
        return b"{}"
    if dimensions != 1:
        raise ValueError("more than one dimension")
    count, _ = struct.unpack_from("!ii", data, 12)
    at = 20
    elements: list[bytes | None] = []
    for _ in range(count):
        (size,) = struct.unpack_from("!i", data, at)
        at += 4
        elements.append(None if size < 0 else converted(data[at : at + size], element, from_=1, to=0))
        at += max(size, 0)
    return array_text(elements)


def array_text(elements: Sequence[bytes | None]) -> bytes:
    """An array of one dimension in the text format."""
    written = []
    for text in elements:
        if text is None:
            written.append(b"NULL")
        elif not text or text.upper() == b"NULL" or any(sign in text for sign in b'{},"\\ \t\n\r\v\f'):
            written.append(b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"')
        else:
            written.append(text)
    return b"{" + b",".join(written) + b"}"


def _array_binary(data: bytes, element: int) -> bytes:
    elements = array_elements(data)
    if not elements:
        return struct.pack("!iii", 0, 0, element)
    packed = b""
    for one in elements:
        value = converted(one, element, from_=0, to=1)
        packed += struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value
    return struct.pack("!iiiii", 1, int(None in elements), element, len(elements), 1) + packed


def array_elements(data: bytes) -> list[bytes | None]:
    """The elements of an array in the text format, of one dimension. Raises `ValueError`."""
    if not (data.startswith(b"{") and data.endswith(b"}")):
        raise ValueError(data)
    found: list[bytes | None] = []
    at, end = 1, len(data) - 1
    while at < end:
        if data[at : at + 1] == b"{":
            raise ValueError("more than one dimension")
        piece, quoted = bytearray(), data[at : at + 1] == b'"'
        at += quoted
        while at < end and data[at : at + 1] != (b'"' if quoted else b","):
            at += data[at : at + 1] == b"\\"
            piece += data[at : at + 1]
            at += 1
        at += quoted + 1
        found.append(None if not quoted and piece.upper() == b"NULL" else bytes(piece))
    return found


_CODECS = {
    BOOL: _Codec(lambda data: b"t" if data == b"\1" else b"f", _bool_binary),
    BYTEA: _Codec(lambda data: b"\\x" + data.hex().encode(), _bytea_binary),
    UUID: _Codec(lambda data: str(uuid.UUID(bytes=data)).encode(), lambda data: uuid.UUID(data.decode()).bytes),
    JSONB: _Codec(lambda data: data[1:], lambda data: b"\1" + data),
    DATE: _Codec(_date_text, _date_binary),
    TIMESTAMP: _Codec(_timestamp_text, _timestamp_binary),
    TIMESTAMPTZ: _Codec(lambda data: _timestamp_text(data) + b"+00", _timestamp_binary),
    NUMERIC: _Codec(_numeric_text, _numeric_binary),
}
