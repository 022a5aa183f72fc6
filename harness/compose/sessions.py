"""What is done to a database's open sessions beside Toxiproxy: ended with 57P01, or stopped where they are."""

import asyncio
from collections.abc import Callable, Sequence
from time import monotonic

import asyncpg

from harness.model.errors import StackError
from harness.postgres.administering import worked_on

OPEN = """
SELECT pid FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() AND datname = $1
"""
GONE_POLL_S = 0.002
GONE_LIMIT_S = 5.0

Signal = Callable[[str, Sequence[int]], None]
"""Sends a signal (its name, without SIG) to processes of the server, on its own machine; blocks."""


class DatabaseSessions:
    """The sessions of one database, through a connection that does not go through Toxiproxy.

    All of it raises `StackError` when the server is gone.
    """

    def __init__(
        self, admin: "asyncpg.Connection[asyncpg.Record]", database: str, signal: Signal | None = None
    ) -> None:
        self._admin = admin
        self._database = database
        self._signal = signal
        self._frozen: set[int] = set()

    async def terminate(self) -> None:
        """End them as an administrator does. Raises `StackError` when one does not go."""
        limit_at_s = monotonic() + GONE_LIMIT_S
        for pid in await self._open():
            with worked_on():
                await self._admin.execute("SELECT pg_terminate_backend($1)", pid)
        while await self._open():
            if monotonic() > limit_at_s:
                raise StackError("postgres", f"its sessions were still there after {GONE_LIMIT_S:g} s")
            await asyncio.sleep(GONE_POLL_S)

    async def freeze(self) -> None:
        """Stop their processes: the connections stay, and nothing moves on them any more."""
        assert self._signal is not None, "needs the server's machine"
        pids = sorted(set(await self._open()) - self._frozen)
        if pids:
            await asyncio.to_thread(self._signal, "STOP", pids)
            self._frozen.update(pids)

    async def thaw(self) -> None:
        """End what was frozen: a stopped process would outlive the server's shutdown."""
        if self._frozen and self._signal is not None:
            await asyncio.to_thread(self._signal, "CONT", sorted(self._frozen))
            self._frozen.clear()
            await self.terminate()

    async def _open(self) -> list[int]:
        with worked_on():
            return [row["pid"] for row in await self._admin.fetch(OPEN, self._database)]
