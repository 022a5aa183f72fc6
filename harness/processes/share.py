"""What Locust's master and its workers write to each other, inside of Locust's own messages."""

from typing import Any

import msgspec

from harness.processes.message import decoded


class StartShare(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From Locust's master to a worker, inside a message of Locust's: the part of a burst that it drives."""

    share: dict[str, Any]
    """A `LoadShare`, likewise."""
    urls: tuple[str, ...]
    """The service's instances; none: Locust's own host."""
    at_s: float | None
    """When the burst starts, on the monotonic clock that master and worker share; None: they share none."""
    delay_s: float
    """How long after this message it starts, where they share none."""


_encoder = msgspec.json.Encoder()
_shares = msgspec.json.Decoder(StartShare)


def to_share(share: StartShare) -> bytes:
    """A share as Locust's message carries it."""
    return _encoder.encode(share)


def share_from(message: bytes) -> StartShare:
    """Raises `harness.processes.message.MalformedError`."""
    return decoded(_shares, message)
