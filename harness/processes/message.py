"""What a message between processes is; messages.py lists them."""

import re

import msgspec


def _snake(name: str) -> str:
    """A message's name in its line: `pool_warmed` for `PoolWarmed`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command", tag=_snake, forbid_unknown_fields=True):
    """From a parent to its child."""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="record", tag=_snake, forbid_unknown_fields=True):
    """From a child to its parent."""
