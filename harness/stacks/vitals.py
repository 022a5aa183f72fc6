"""What stands still or restarts while trials are played, and is none of their own processes: told to each of them."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, nullcontext
from time import monotonic

from harness.heartbeat import Heartbeat, beating
from harness.model.doubt import Component
from harness.model.events import Event
from harness.postgres.watch import Listening, PostgresWatch
from harness.processes.beside import beside
from harness.stacks.timebase import TrialRows


class Vitals:
    """One PostgreSQL, and this process's own loop. Enter `watching` before trials are played on it."""

    def __init__(self, postgres: tuple[str, int] | None) -> None:
        self._own_loop = Heartbeat(monotonic())
        self._postgres = None if postgres is None else PostgresWatch(*postgres, self._own_loop)
        self._rows: list[TrialRows] = []

    @classmethod
    @asynccontextmanager
    async def watching(cls, postgres: tuple[str, int] | None) -> AsyncIterator["Vitals"]:
        """Watches, while inside. PostgreSQL's address is not a proxy's; None: it is somebody else's, and left alone."""
        vitals = cls(postgres)
        watches = [] if vitals._postgres is None else [vitals._postgres.run()]
        async with beside(beating(vitals._stood_still, vitals._own_loop), *watches):
            yield vitals

    @contextmanager
    def by(self, rows: TrialRows) -> Iterator[None]:
        """While inside, what happens is recorded in these rows of a trial."""

        def stalled(at_s: float, for_s: float) -> None:
            rows.event(Event.STALLED, at_s, value_s=for_s, part=Component.POSTGRES)

        def restarted(at_s: float) -> None:
            rows.event(Event.RESTARTED, at_s)

        self._rows.append(rows)
        try:
            with nullcontext() if self._postgres is None else self._postgres.heard_by(Listening(stalled, restarted)):
                yield
        finally:
            self._rows.remove(rows)

    async def settled(self) -> None:
        """Wait until PostgreSQL has been asked once more: at the end of a trial."""
        if self._postgres is not None:
            await self._postgres.settled()

    def _stood_still(self, at_s: float, for_s: float) -> None:
        for rows in self._rows:
            rows.event(Event.STALLED, at_s, value_s=for_s, part=Component.HARNESS)
