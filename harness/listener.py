"""The queue listener's settings: background work of the service, on a connection of its own outside the pool."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from harness.errors import UserError

ENVIRONMENT_PREFIX = "LISTENER_"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueListener:
    """LISTEN on a channel, a heartbeat, and reconnecting when that fails. Durations in seconds.

    The defaults are the reference service's since 2025-11-17. A heartbeat is a statement: it counts as activity, so
    a compute that suspends for want of it stays awake.
    """

    channel: str = "queue"
    heartbeat_every_s: float = 5.0
    heartbeat_limit_s: float = 5.0
    connect_timeout_s: float = 15.0
    """0: none at all."""
    backoff_first_s: float = 5.0
    """The wait before the first reconnect; it doubles with every attempt that fails."""
    backoff_max_s: float = 60.0

    def __post_init__(self) -> None:
        if not self.channel.isidentifier():
            raise UserError(f"{self.channel!r} is not a channel", where="listener", allowed="letters, digits and _")
        for name, least in (
            ("heartbeat_every_s", 0.001), ("heartbeat_limit_s", 0.001), ("connect_timeout_s", 0.0),
            ("backoff_first_s", 0.0), ("backoff_max_s", 0.0),
        ):  # fmt: skip
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= least):
                raise UserError(f"{name.removesuffix('_s')} must be {least:g} or more, got {value:g}", where="listener")

    def backoff_s(self, failures: int) -> float:
        """The wait before the attempt that follows `failures` failed ones, from 0."""
        # 2**64 seconds is for ever, and a float.
        return min(self.backoff_max_s, self.backoff_first_s * 2.0 ** min(failures, 64))

    def to_environment(self) -> dict[str, str]:
        """The settings as the `LISTENER_*` variables that the service reads."""
        return {_variable(name): str(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """Read the `LISTENER_*` variables; without any of them there is no listener."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            if (text := environment.get(_variable(field.name))) is None:
                continue
            try:
                given[field.name] = text if field.name == "channel" else float(text)
            except ValueError:
                raise UserError(f"{text!r} is not a number of seconds", where=_variable(field.name)) from None
        return cls(**given) if given else None


def _variable(name: str) -> str:
    return ENVIRONMENT_PREFIX + name.removesuffix("_s").upper()
