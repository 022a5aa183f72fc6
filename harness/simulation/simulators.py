"""Processes that play trials in virtual time: several at once, and each may die without taking another trial along.

SQLAlchemy's and asyncpg's compiled code runs in them, not in the process that holds the run's results. A trial whose
process died is played once more: its rows are the same in every process, so that hides nothing, and whoever asked is
told of it. The second death of the same trial is an error with its name.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeAlias

from harness.converter import to_json
from harness.model.errors import StackError, TrialDiedError, UserError
from harness.model.times import Times
from harness.model.trial import Trial
from harness.processes.message import Command
from harness.processes.messages import PlayTrial, RowsPlayed, SimulatorReady, TrialPlayed, TrialRefused
from harness.processes.process import Child
from harness.simulation.rows import Simulated

Say: TypeAlias = Callable[[str], None]
"""Takes one line for a person."""


def _of_the_service(trial: Trial, times: Times, *, sampled: bool) -> Command:
    return PlayTrial(trial=to_json(trial), times=to_json(times), sampled=sampled)


class Telling(Protocol):
    """Makes the command that has a trial played."""

    def __call__(self, trial: Trial, times: Times, *, sampled: bool) -> Command: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a simulator's process runs, where, and how it is told of a trial; by default the service under test."""

    argv: tuple[str, ...] = (sys.executable, "-m", "harness.simulation")
    folder: Path | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    command: Telling = _of_the_service


SERVICE = Program()


class Simulators:
    """A fixed number of simulators, each started when it is first needed."""

    def __init__(self, number: int, logs: Path, program: Program) -> None:
        self._program = program
        self._free: asyncio.LifoQueue[_Simulator] = asyncio.LifoQueue()
        self._all = [
            _Simulator(f"simulator {index}", logs / f"simulator-{index}.log", program) for index in range(number)
        ]
        for simulator in reversed(self._all):
            self._free.put_nowait(simulator)

    @classmethod
    @asynccontextmanager
    async def running(cls, number: int, *, logs: Path, program: Program = SERVICE) -> AsyncIterator[Self]:
        """`number` trials at a time. Logs that say nothing are removed at the end."""
        simulators = cls(number, logs, program)
        try:
            yield simulators
        finally:
            for simulator in simulators._all:
                await simulator.stop()

    async def play(self, trial: Trial, times: Times, say: Say, *, sampled: bool = True) -> Simulated:
        """The trial's rows, as `harness.simulation.trial.simulate` returns them, once a simulator is free.

        `say` is called when the trial's process has died and the trial is played once more. Raises `UserError` where
        `simulate` does, and `TrialDiedError` when the trial's process has died twice.
        """
        command = self._program.command(trial, times, sampled=sampled)
        simulator = await self._free.get()
        try:
            try:
                return await simulator.play(command)
            except StackError as death:
                say(f"{described(trial)}: its process {death.what}; it is played once more")
            try:
                return await simulator.play(command)
            except StackError as death:
                raise TrialDiedError(described(trial), f"its process {death.what}, twice", log=death.log) from death
        finally:
            self._free.put_nowait(simulator)


class _Simulator:
    """One process, started anew after it has died."""

    def __init__(self, name: str, log: Path, program: Program) -> None:
        self._name = name
        self._program = program
        self._log = log
        self._child: Child | None = None

    async def play(self, command: Command) -> Simulated:
        """Raises `StackError` when the process dies or writes what it should not; the next call starts another."""
        try:
            if self._child is None:
                program = self._program
                self._child = await Child.start(
                    self._name, program.argv, log=self._log, environment=program.environment, folder=program.folder
                )
                await self._child.next_record(SimulatorReady)
            await self._child.send(command)
            return await self._rows(self._child)
        except BaseException as error:
            # A process that was cancelled in the middle of a trial is of no more use than a dead one.
            if not isinstance(error, UserError):
                await self.stop()
            raise

    async def _rows(self, child: Child) -> Simulated:
        rows = Simulated()
        async for record in child.records():
            match record:
                case RowsPlayed(table=table, rows=batch):
                    getattr(rows, table).extend(batch)
                case TrialPlayed(marks=marks):
                    rows.marks = marks
                    return rows
                case TrialRefused(what=what, where=where, allowed=allowed):
                    told = f" (log: {self._log})" if self._log.stat().st_size else ""
                    raise UserError(f"{what}{told}", where=where, allowed=allowed)
                case _:
                    raise child.out_of_step(record)
        raise await child.died()

    async def stop(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            await child.stop()
        if self._log.is_file() and not self._log.stat().st_size:
            self._log.unlink()


def described(trial: Trial) -> str:
    """How a person is told which trial it is."""
    return f"trial {trial.number} ({trial.label}, seed {trial.seed})"
