"""When a request computes: before it has a connection, while it has one, and afterwards."""

from collections.abc import Callable
from time import process_time


class Holding:
    """Of the requests of this process since the last report, which are asked for one at a time.

    What a request computes while it holds a connection keeps others from it; what it computes afterwards does not.
    """

    def __init__(self, cpu_s: Callable[[], float] = process_time) -> None:
        self._cpu_s = cpu_s
        self._held = 0
        """How many connections are checked out."""
        self._since_s = 0.0
        self._sum_s = 0.0
        self._first_s: float | None = None

    def checked_out(self) -> None:
        """A connection is checked out."""
        if not self._held:
            self._since_s = self._cpu_s()
            if self._first_s is None:
                self._first_s = self._since_s
        self._held += 1

    def given_back(self) -> None:
        """A connection has been given back."""
        if self._held:
            self._held -= 1
            if not self._held:
                self._sum_s += self._cpu_s() - self._since_s

    def report(self) -> tuple[float | None, float]:
        """What the process had computed when a connection was first checked out, and what it did while one was.

        None: no connection was. The next report begins anew.
        """
        now_s = self._cpu_s()
        held_s = self._sum_s + (now_s - self._since_s if self._held else 0.0)
        reported = self._first_s, held_s
        self._sum_s, self._since_s, self._first_s = 0.0, now_s, None
        return reported
