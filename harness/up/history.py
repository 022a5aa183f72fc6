"""What a sleeping database has done so far, read from the events of its proxy. Pure: no clock, no socket."""

from dataclasses import dataclass, replace
from typing import assert_never

from harness.model.compute import State
from harness.processes.proxy_messages import (
    AnyProxyEvent,
    ClientNamed,
    ComputeSuspended,
    ComputeWoken,
    ConnectionAccepted,
    ConnectionClosed,
    ConnectionReleased,
    DialFailed,
    FirstAttempt,
    ProxyStalled,
)

BY_COMMAND = "coldstart wake"
BY_DROPPED = "a connection request that was dropped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wake:
    """One wake. Times are seconds on the monotonic clock."""

    by: str
    """Who asked first: the program and its user once they are known, until then the client's address."""
    asked_at_s: float
    planned_at_s: float
    """When it is to answer again: the wake latency after it was asked."""
    woken_at_s: float | None = None
    """When it did; None: not yet."""
    connection: int | None = None
    """Of the one who asked."""

    @property
    def latency_s(self) -> float:
        """The wake latency, as it was drawn."""
        return self.planned_at_s - self.asked_at_s

    @property
    def took_s(self) -> float | None:
        """How long it really took; None: it is not over."""
        return None if self.woken_at_s is None else self.woken_at_s - self.asked_at_s


class History:
    """One proxy's events, as states, wakes and connections."""

    def __init__(self) -> None:
        self.state = State.ACTIVE
        self.suspends = 0
        self.wakes: list[Wake] = []
        self.connections: dict[int, str] = {}
        """Open ones, by their number: the client's address."""

    @property
    def wakes_ended(self) -> int:
        return len(self.wakes) - (self.state is State.WAKING)

    def take(self, event: AnyProxyEvent) -> None:
        """The next event."""
        match event:
            case ConnectionAccepted(connection=int() as connection, client=client):
                self.connections[connection] = client or "a client"
            case ConnectionClosed(connection=connection):
                self.connections.pop(connection, None)
            case ComputeSuspended():
                self.state = State.SUSPENDED
                self.suspends += 1
            case FirstAttempt():
                self.state = State.WAKING
                self.wakes.append(self._begun(event))
            case ComputeWoken(at_s=at_s):
                # The end of an outage is no end of a wake, nor is a compute that another one has replaced in its sleep.
                if self.state is State.WAKING:
                    self.wakes[-1] = replace(self.wakes[-1], woken_at_s=at_s)
                self.state = State.ACTIVE
            case ClientNamed(connection=connection):
                # The one who wakes it may say who it is only after the wake.
                if self.wakes and self.wakes[-1].connection == connection:
                    self.wakes[-1] = replace(self.wakes[-1], by=name_of(event))
            case ConnectionAccepted() | ConnectionReleased() | DialFailed() | ProxyStalled():
                pass
            case _:
                assert_never(event)

    def _begun(self, event: FirstAttempt) -> Wake:
        if event.connection is not None:
            by = self.connections.get(event.connection, "a client that has left")
        else:
            by = BY_COMMAND if event.commanded else BY_DROPPED
        return Wake(by=by, asked_at_s=event.at_s, planned_at_s=event.ready_at_s, connection=event.connection)


def name_of(client: ClientNamed) -> str:
    """For example `psql as coldstart`."""
    name = client.application_name or "a client"
    # It is a client's text, and goes to a terminal.
    return "".join(sign if sign.isprintable() else "?" for sign in f"{name} as {client.user}")
