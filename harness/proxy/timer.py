"""The one timer that a compute needs: it is set anew after every input, and fires when the compute wants a tick."""

import asyncio
from collections.abc import Callable


class TickTimer:
    """Calls `tick` at the moment it was last set to, on the running loop."""

    def __init__(self, tick: Callable[[], None]) -> None:
        self._tick = tick
        self._handle: asyncio.TimerHandle | None = None

    def set(self, due_s: float | None) -> None:
        """Fire at this moment of the loop's clock, and at no other; None: not at all."""
        if self._handle is not None:
            if self._handle.when() == due_s:
                return
            self.cancel()
        if due_s is not None:
            self._handle = asyncio.get_running_loop().call_at(due_s, self._fire)

    def cancel(self) -> None:
        """Do not fire any more until it is set again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        self._handle = None
        self._tick()
