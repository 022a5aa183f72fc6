"""What the proxies of a stack in real time report, as events of the trials that they belong to."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import assert_never

from harness.model.doubt import Component
from harness.model.events import Event
from harness.processes.messages import ProxyReported
from harness.processes.process import Child
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
from harness.stacks.timebase import TrialRows


class ProxyEvents:
    """The proxy's event stream, sorted by proxy into the rows of the trials."""

    def __init__(self) -> None:
        self._by_proxy: dict[str, _WakeEvents] = {}

    @contextmanager
    def of(self, proxy: str, rows: TrialRows, *, since_s: float = -math.inf) -> Iterator[None]:
        """While inside, this proxy's events go to these rows; those before `since_s` are another trial's."""
        wake_events = self._by_proxy[proxy] = _WakeEvents(rows, since_s)
        try:
            yield
        finally:
            wake_events.wake_ended()
            del self._by_proxy[proxy]

    async def read(self, proxy: Child) -> None:
        """Sorts what the proxy's process reports, until it ends."""
        async for record in proxy.records():
            if not isinstance(record, ProxyReported):
                raise proxy.out_of_step(record)
            self.take(record.event)

    def take(self, event: AnyProxyEvent) -> None:
        """One event, to the rows of its proxy's trial."""
        wake_events = self._by_proxy.get(event.proxy)
        if wake_events is not None:
            wake_events.take(event)


class _WakeEvents:
    """Turns one proxy's events into rows: of all that were released, the first and the last."""

    def __init__(self, rows: TrialRows, since_s: float) -> None:
        self._rows = rows
        self._since_s = since_s
        self._accepted: list[float] = []
        self._last_released: ConnectionReleased | None = None

    def take(self, event: AnyProxyEvent) -> None:
        if event.at_s < self._since_s:
            return
        match event:
            case ConnectionAccepted(connection=int()):
                self._accepted.append(event.at_s)
            case ComputeSuspended():
                self._accepted.clear()
                self._rows.event(Event.SUSPENDED, event.at_s)
            case FirstAttempt():
                # How long after its accept the attempt was noticed. Not known for a dropped attempt, which only polling
                # notices, nor for the real Toxiproxy, whose accepts are read from its log.
                late_s = event.at_s - self._accepted[0] if self._accepted else None
                self._rows.event(Event.FIRST_ATTEMPT, event.at_s, value_s=late_s)
            case ComputeWoken():
                self.wake_ended()
                self._rows.event(Event.WOKEN, event.at_s, value_s=event.at_s - event.planned_at_s)
            case ConnectionReleased():
                if self._last_released is None:
                    self._rows.event(Event.FIRST_RELEASED, event.at_s, value_s=event.late_s)
                self._last_released = event
            case ProxyStalled():
                self._rows.event(Event.STALLED, event.at_s, value_s=event.for_s, part=Component.PROXY)
            case ConnectionAccepted() | ClientNamed() | ConnectionClosed() | DialFailed():
                pass
            case _:
                assert_never(event)

    def wake_ended(self) -> None:
        """The wake is over: the release that came last was its last one."""
        if self._last_released is not None:
            self._rows.event(Event.LAST_RELEASED, self._last_released.at_s, value_s=self._last_released.late_s)
            self._last_released = None
