"""One trial of an application in virtual time, in this process."""

import logging
import os
from pathlib import Path
from statistics import median
from typing import Any

from harness.guest.application import NoApplicationError, find_application
from harness.guest.early import EarlyImport
from harness.guest.engines import Engines
from harness.guest.instance import ApplicationInstance, Costs, Processor
from harness.guest.marks import Marks
from harness.guest.orders import Orders, Play
from harness.guest.world import ApplicationLoop, Outside, take_over
from harness.model.driver import Driver
from harness.model.errors import UserError
from harness.model.events import Event
from harness.model.times import Times
from harness.recording import CONNECTING, Recording, read
from harness.service.observation import PoolWatch
from harness.simulation.backend import no_time
from harness.simulation.chance import library_chance_of
from harness.simulation.cores import Cores
from harness.simulation.loop import StalledError, run
from harness.simulation.rows import Simulated
from harness.simulation.virtual_driver import HOST, PORT, VirtualDriver

TRIED_KEY = 0
SHOWN = 100
"""Characters of a statement."""


def simulate_application(play: Play, early: EarlyImport | None = None, marks: Marks | None = None) -> Simulated:
    """Play one trial; the same play gives the same rows, as far as the application itself does.

    `early` is the application where this process has imported it already, and `marks` what that was noted for.

    Raises `UserError` for what can't be played.
    """
    os.environ.update(play.environment)
    logging.basicConfig(level=logging.WARNING)
    if marks is None:
        marks = Marks()
        take_over(marks)
    assert play.application.recording is not None
    recording = read(Path(play.application.recording))
    with library_chance_of(play.trial.seed):
        try:
            return run(
                lambda loop: ApplicationDriver(loop, play, recording, marks, early).play(), loop_class=ApplicationLoop
            )
        except StalledError as error:
            raise UserError(
                f"it waits for something that can't happen in virtual time: {error}",
                where=f"application {play.application.name}",
            ) from error


class ApplicationDriver(VirtualDriver):
    """The application as the service: a `Driver`."""

    def __init__(
        self, loop: ApplicationLoop, play: Play, recording: Recording, marks: Marks, early: EarlyImport | None
    ) -> None:
        self._early = early
        self._play = play
        self._recording = recording
        self._marks = marks
        loop.marks = marks
        cores = recording.cores if play.application.cpu else None
        self._cores = None if cores is None else Cores(loop, cores)
        """What the application and its database share; None: each of their processes has one of its own."""
        super().__init__(loop, play.trial, play.times, sampled=play.sampled)

    def server_options(self, times: Times) -> dict[str, Any]:
        # What nobody gives takes the time that it took when it was recorded.
        unset = Times()
        recorded: dict[str, Any] = {"recording": self._recording, "cores": self._cores}
        if times.service == unset.service:
            recorded["draw_service_s"] = no_time
        if times.connect == unset.connect:
            recorded["draw_connect_s"] = no_time
        return recorded

    def prepare(self) -> None:
        self.loop.network = Outside(self.network, self._play.application.stubs, self._marks)
        self._sockets: Any = None
        if self._play.trial.pool.runs_on is Driver.PSYCOPG:
            self._bridge_psycopg()

    def make_instance(self, watch: PoolWatch) -> ApplicationInstance:
        application = self._play.application
        engines = Engines(Orders.from_environment(os.environ), watch, now_s=self.loop.time)
        engines.take_part(self._early)
        assert application.app is not None
        if self._early is not None and self._early.application is not None:
            found = self._early.application
        else:
            try:
                found = find_application(application.app)
            except NoApplicationError as error:
                raise UserError(str(error), where="--app") from error
        processor = Processor(self._costs() if application.cpu else {}, self._cores or Cores(self.loop, 1))
        return ApplicationInstance(found, engines, processor, name=application.name)

    async def begin(self) -> None:
        (instance,) = self.instances
        assert isinstance(instance, ApplicationInstance)
        await instance.start()
        try:
            await instance.try_requests(self._play.application.kinds, TRIED_KEY)
        except UserError as error:
            self._note_missed()
            if marks := list(self._marks.all()):
                # What went wrong in the simulation says more than how the application took it.
                raise UserError(marks[0], where=error.where) from None
            raise

    async def end(self) -> None:
        self._note_missed()
        assert self.server.replay is not None
        counts = self.server.replay.counts
        for what, times in self._marks.all().items():
            self.event(Event.NOT_PLAYED, self.loop.time(), what=what, times=times)
        self.rows.marks = self._marks.all()
        answers = {"exact": counts.exact, "by_shape": counts.by_shape, "last": counts.last}
        self.event(Event.ANSWERED, self.loop.time(), **answers)

    def _note_missed(self) -> None:
        assert self.server.replay is not None
        for text, times in self.server.replay.counts.missed_texts.items():
            if text.lstrip()[:4].upper() == "COPY":
                self._marks.note("it uses COPY, which can't be answered from a recording", times)
            else:
                self._marks.note(f"a statement was never recorded: {_shortened(text)}", times)

    def close(self) -> None:
        if self._sockets is not None:
            self._sockets.close()

    def _costs(self) -> dict[str, Costs]:
        """What the application computes, by the medians of what was recorded."""
        recorded = {kind.request: kind for kind in self._recording.requests if kind.cpu_s}
        handshake_s = median(recorded.pop(CONNECTING).cpu_s) if CONNECTING in recorded else 0.0
        costs = {CONNECTING: Costs(connecting_s=handshake_s)}
        for name, kind in recorded.items():
            cpu_s = median(kind.cpu_s)
            # Not the handshake by itself, which is measured with statements of its own around it.
            more_s = median(kind.connecting_cpu_s) - cpu_s if kind.connecting_cpu_s else handshake_s
            # Where it is not known when it computes, it does so while it has its connection.
            before_s = median(kind.before_cpu_s) if kind.held_cpu_s else 0.0
            held_s = median(kind.held_cpu_s) if kind.held_cpu_s else cpu_s
            costs[name] = Costs(before_s, held_s, max(0.0, cpu_s - before_s - held_s), max(0.0, more_s))
        return costs

    def _bridge_psycopg(self) -> None:
        """libpq's own sockets lead to the simulated network, for every connection of psycopg's in this process."""
        from psycopg import AsyncConnection

        from harness.simulation.libpq import LibpqSockets

        self._sockets = sockets = LibpqSockets(self.network, HOST, PORT)
        connect = AsyncConnection._connect_gen.__func__  # type: ignore[attr-defined] # noqa: SLF001 - psycopg's one way

        def rerouted(cls: type, conninfo: str = "") -> Any:  # noqa: ANN401 - psycopg's own
            return connect(cls, sockets.rerouted(conninfo))

        AsyncConnection._connect_gen = classmethod(rerouted)  # type: ignore[assignment,method-assign] # noqa: SLF001


def _shortened(sql: str) -> str:
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"
