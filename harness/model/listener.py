"""The queue listener's settings: background work of the service, on one connection of its own outside the pool.

The names and defaults are those of the reference service after its incidents. In code every duration carries its
unit; in the environment a setting has its own name (`LISTENER_CONNECT_TIMEOUT`), always in seconds.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from harness.model.errors import UserError
from harness.model.limits import check_number

ENVIRONMENT_PREFIX = "LISTENER_"
CHANNEL = re.compile(r"[a-z_][a-z0-9_]{0,62}", re.ASCII)
CHANNEL_ALLOWED = "up to 63 of a-z, 0-9 and _, not a digit first"
NO_LISTENER = {f"{ENVIRONMENT_PREFIX}CHANNEL": ""}
"""The environment variables for no listener, to override those of the environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueListener:
    """LISTEN on `channel`, a heartbeat, and reconnecting when that fails. Durations in seconds.

    Raises `UserError` on construction when a value is out of range.

    The effect of a listener on a compute that sleeps: `harness.model.compute` counts everything that a client sends as
    activity, so a compute with an idle time longer than `heartbeat_every_s` never suspends by itself while its listener
    is connected. Neon counts a `SELECT 1` every few seconds as activity too, but its compute suspended during the
    reference service's heartbeats on 2025-12-02: for such a story use `Suspend()`. After the suspend it is the
    listener, not a visitor, that starts the wake, because its heartbeat fails and it reconnects: within
    `heartbeat_every_s` if its connection was closed, and `heartbeat_limit_s` later if it was frozen. If its connection
    was kept, the heartbeat itself starts the wake.
    """

    heartbeat_every_s: float = 5.0
    """From the end of one heartbeat (`SELECT 1`) to the next."""
    heartbeat_limit_s: float = 5.0
    """How long a heartbeat may take before the connection is dropped."""
    connect_timeout_s: float = 15.0
    """For one attempt, LISTEN included; 0: none at all, as before the incident of 2025-11-17."""
    backoff_first_s: float = 5.0
    """Between the first failed attempt and the second; doubled after each."""
    backoff_max_s: float = 60.0
    channel: str = "queue"

    def __post_init__(self) -> None:
        for name in ("heartbeat_every_s", "heartbeat_limit_s", "backoff_first_s", "backoff_max_s"):
            check_number(name, getattr(self, name), where="listener", above_least=True)
        check_number("connect_timeout_s", self.connect_timeout_s, where="listener", or_zero="0 (none)")
        if self.backoff_max_s < self.backoff_first_s:
            what = f"backoff_max_s must be backoff_first_s, {self.backoff_first_s:g}, or more"
            raise UserError(f"{what}, got {self.backoff_max_s:g}", where="listener")
        if not CHANNEL.fullmatch(self.channel):
            raise UserError(f"{self.channel!r} is not a channel", where="listener", allowed=CHANNEL_ALLOWED)

    def backoffs_s(self) -> Iterator[float]:
        """The waits after successive failed attempts, without end: each is twice the one before, up to the maximum."""
        backoff_s = self.backoff_first_s
        while True:
            yield backoff_s
            backoff_s = min(2 * backoff_s, self.backoff_max_s)

    def to_environment(self) -> dict[str, str]:
        """The settings as the `LISTENER_*` variables that the service reads."""
        return {_variable(field.name): str(getattr(self, field.name)) for field in fields(self)}

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self | None:
        """Read the `LISTENER_*` variables; without a channel there is no listener."""
        if not environment.get(_variable("channel")):
            return None
        given: dict[str, Any] = {}
        for field in fields(cls):
            variable = _variable(field.name)
            if variable in environment:
                try:
                    given[field.name] = environment[variable] if field.type is str else float(environment[variable])
                except ValueError:
                    what = f"{variable}={environment[variable]!r} is not a number of seconds"
                    raise UserError(what, where="environment") from None
        return cls(**given)


def _variable(field_name: str) -> str:
    return ENVIRONMENT_PREFIX + field_name.removesuffix("_s").upper()
