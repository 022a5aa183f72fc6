"""Request bodies as Go's encoding/json reads them, and the errors that Toxiproxy's API answers with."""

import json
import math
from typing import Any, TypeVar

from starlette.requests import Request

BODY_LIMIT = 8 * 2**20
"""Bytes of a request's body: some forty thousand proxies to populate."""
INT64 = range(-(2**63), 2**63)

Shape = TypeVar("Shape")


class ApiError(Exception):
    """An answer that is an error: Toxiproxy's message and HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        self.message = message
        self.status = status
        super().__init__(message)

    def to_json(self) -> dict[str, Any]:
        return {"error": self.message, "status": self.status}


def bad_request(why: object) -> ApiError:
    return ApiError(f"bad request body: {why}", 400)


def missing(field: str) -> ApiError:
    return ApiError(f"missing required field: {field}", 400)


async def read_json(request: Request, shape: type[Shape]) -> Shape:
    """The JSON of a request's body. Raises `ApiError`: 413 when it is too long, 400 when it is not such a `shape`."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise ApiError(f"bad request body: more than {BODY_LIMIT} bytes", 413)
    return parsed(bytes(body), shape)


def parsed(body: bytes, shape: type[Shape]) -> Shape:
    """The first JSON value of a body; what follows it is ignored, as by Go's decoder. Raises `ApiError` 400."""
    try:
        document, _ = _DECODER.raw_decode(body.decode(errors="replace").lstrip(" \t\r\n"))
    except (ValueError, RecursionError) as error:
        raise bad_request(error) from error
    if not isinstance(document, shape):
        raise bad_request(f"cannot read a {type(document).__name__} as a {shape.__name__}")
    return document


def field(document: dict[str, Any], name: str, shape: type, default: Any) -> Any:  # noqa: ANN401 - JSON
    """A field of the request; null counts as left out. Raises `ApiError` 400 when it has another type."""
    value = document.get(name)
    if value is None:
        return default
    if shape is float and type(value) is int:
        return float(value)
    if type(value) is not shape:
        raise bad_request(f"cannot read {value!r:.80} as {name}")
    return value


def address_field(document: dict[str, Any], name: str, default: str) -> str:
    """A field that holds host:port. Raises `ApiError` 400 for characters that no address has."""
    text: str = field(document, name, str, default)
    if any(ord(character) < 0x20 for character in text):
        raise bad_request(f"{name} has a control character")
    return text


def _whole_number(text: str) -> int:
    # The length first: int() of a million digits takes its time.
    if len(text) > 20 or int(text) not in INT64:
        raise ValueError(f"number {text:.20} is out of range")
    return int(text)


def _real_number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"number {text:.20} is out of range")
    return number


def _no_constant(text: str) -> float:
    # Python's decoder knows NaN and Infinity; JSON does not.
    raise ValueError(f"{text} is not a number in JSON")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object by its lower-case keys: Go matches fields in any case, and the last one that is not null counts."""
    document: dict[str, Any] = {}
    for key, value in pairs:
        if isinstance(value, str) and not _is_unicode(value):
            raise ValueError(f"{key!r:.40} has half of a surrogate pair")
        name = key.casefold()
        if value is not None or name not in document:
            document[name] = value
    return document


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


_DECODER = json.JSONDecoder(
    parse_int=_whole_number, parse_float=_real_number, parse_constant=_no_constant, object_pairs_hook=_object
)
