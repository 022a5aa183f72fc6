"""What the service must know of a pool and of a connection of it, whichever library they are of."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from harness.model.outcomes import Outcome, Phase
from harness.service.observation import Slots
from harness.service.statements import Statement

CLOSE_LIMIT_S = 5.0
"""How long a pool that is replaced may take to close; psycopg_pool's own limit, and a limit where there is none."""


class PooledConnection(Protocol):
    """A connection that is checked out."""

    async def execute(self, statement: Statement, **parameters: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - PostgreSQL's own
        """Carry out a statement; its rows, none of a statement that writes."""
        ...

    def begin(self) -> AbstractAsyncContextManager[Any]:
        """A transaction: committed at its end, rolled back when it ends by an exception."""
        ...

    async def commit(self) -> None:
        """Commit what was written since the last commit."""
        ...


class ServicePool(Protocol):
    """A pool that opens at its first use, as its library does everything.

    What a library tells of itself goes to a `PoolWatch` while it happens.
    """

    changes_by_requests_only: bool
    """As `Watched` in observation.py has it."""

    def connection(self) -> AbstractAsyncContextManager[PooledConnection]:
        """Check a connection out, and in again: what a service does with this library."""
        ...

    def slots(self) -> Slots:
        """The connections now."""
        ...

    def outcome(self, exception: Exception, phase: Phase) -> Outcome:
        """The outcome of a request that `exception` ended while it was in `phase`."""
        ...

    async def fill(self) -> None:
        """Open as many connections as the library opens by itself, as a service does when it starts.

        Raises what the library raises when it can't.
        """
        ...

    async def close(self) -> None:
        """Close every connection; nobody holds one any more."""
        ...

    async def abandon(self) -> None:
        """End at once, whatever is under way: a service ends with its process, a simulation does not."""
        ...
