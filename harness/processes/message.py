"""What a message between processes is; messages.py lists them."""

import re
from typing import TypeVar

import msgspec

MalformedError = msgspec.DecodeError
"""A line that is no message, or one whose fields are not what they should be."""
T = TypeVar("T")


def decoded(decoder: msgspec.json.Decoder[T], line: bytes) -> T:
    """The message of a line. Raises `MalformedError`."""
    try:
        return decoder.decode(line)
    except (RecursionError, UnicodeDecodeError) as error:
        raise MalformedError(f"{type(error).__name__}: {error}") from error


def _snake(name: str) -> str:
    """A message's name in its line: `pool_warmed` for `PoolWarmed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag=_snake, forbid_unknown_fields=True):
    """From a parent to its child."""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag=_snake, forbid_unknown_fields=True):
    """From a child to its parent."""
