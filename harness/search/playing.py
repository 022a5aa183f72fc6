"""Plays single trials in virtual time and remembers what became of them: nothing is played twice."""

import asyncio
import os
import tempfile
from bisect import bisect_right
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from harness.application.starting import check_application, simulator
from harness.model.distribution import Constant
from harness.model.errors import UserError
from harness.model.objective import Objectives
from harness.model.outcomes import Outcome
from harness.model.plan import PlannedRun
from harness.model.times import Times
from harness.model.trial import Trial
from harness.model.wake import WakeProfile
from harness.simulation.rows import Row
from harness.simulation.simulators import SERVICE, Program, Say, Simulators


@dataclass(frozen=True, slots=True)
class PlayedTrial:
    """What became of a trial's requests; the `Answers` of an objective."""

    trial: Trial
    rows: Sequence[Row]
    """The requests by number, with the columns of harness/model/columns.py."""
    latencies_s: Sequence[float]
    ok_latencies_s: Sequence[float]
    """In ascending order."""
    outcomes: Counter[str]

    @classmethod
    def of(cls, trial: Trial, rows: Iterable[Row]) -> Self:
        ordered = sorted(rows, key=lambda row: int(row["number"]))
        return cls(
            trial=trial,
            rows=ordered,
            latencies_s=[row["latency_s"] for row in ordered],
            ok_latencies_s=sorted(row["latency_s"] for row in ordered if row["outcome"] == Outcome.OK),
            outcomes=Counter(row["outcome"] for row in ordered),
        )

    @property
    def requests(self) -> int:
        return len(self.rows)

    @property
    def connects(self) -> int:
        """How many of the requests had to connect."""
        return sum(bool(row["connect_s"]) for row in self.rows)

    def count(self, outcome: Outcome) -> int:
        return self.outcomes[outcome]

    def answered(self, within_s: float) -> int:
        return bisect_right(self.ok_latencies_s, within_s)

    def breaking(self, objectives: Objectives) -> Row | None:
        """The first request that counts against an objective that is missed; None: none is missed."""
        patience_s = objectives.patience.seconds
        for missed in objectives.missed(self):
            for row in self.rows:
                if missed.objective.counts_against(row["outcome"], row["latency_s"], patience_s):
                    return row
        return None


class Playing:
    """Virtual time, with as many trials at once as there are processes; each distinct trial is played once."""

    def __init__(self, simulators: Simulators, processes: int, say: Say) -> None:
        self._simulators = simulators
        self._say = say
        self._played: dict[Hashable, asyncio.Task[PlayedTrial]] = {}
        self.processes = processes
        self.marks: dict[str, None] = {}
        """What an application did, in any of the trials, that virtual time can't play; each once."""

    @classmethod
    @asynccontextmanager
    async def running(cls, *, say: Say, parallel: int | None = None, program: Program = SERVICE) -> AsyncIterator[Self]:
        """The processes are started as they are needed, one a core unless told otherwise, and stopped at the end."""
        processes = parallel or os.cpu_count() or 1
        # It stays where a process died and left its log there.
        logs = Path(tempfile.mkdtemp(prefix="coldstart-search-"))
        try:
            async with Simulators.running(processes, logs=logs, program=program) as simulators:
                playing = cls(simulators, processes, say)
                try:
                    yield playing
                finally:
                    for task in playing._played.values():
                        task.cancel()
        finally:
            _remove_if_empty(logs)

    @property
    def trials(self) -> int:
        """How many distinct trials have been asked for."""
        return len(self._played)

    async def play(self, trial: Trial, times: Times) -> PlayedTrial:
        """One trial. Raises `UserError` for what can't be played, and `TrialDiedError`."""
        key = _key(trial, times)
        task = self._played.get(key)
        if task is None:
            task = self._played[key] = asyncio.create_task(self._play(trial, times))
        return await asyncio.shield(task)

    async def play_all(self, trials: Iterable[Trial], times: Times) -> list[PlayedTrial]:
        """All of these trials, at the same time as far as there are processes, in their order."""
        found = await asyncio.gather(*(self.play(trial, times) for trial in trials), return_exceptions=True)
        played: list[PlayedTrial] = []
        for result in found:
            if isinstance(result, BaseException):
                raise result
            played.append(result)
        return played

    async def _play(self, trial: Trial, times: Times) -> PlayedTrial:
        simulated = await self._simulators.play(trial, times, self._say, sampled=False)
        self.marks |= dict.fromkeys(simulated.marks)
        return PlayedTrial.of(trial, simulated.requests)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def program_of(plan: PlannedRun, *, recording: Path | None = None, where: str) -> Program:
    """What plays this plan's trials: the service under test, or the user's application from its recording.

    `recording` is used in place of the plan's own. Raises `UserError` for an application that can't be played.
    """
    application = plan.overrides.application
    if application is None:
        return SERVICE
    if recording is not None:
        application = replace(application, recording=str(recording))
    if application.recording is None:
        raise UserError(
            f"other settings are played in virtual time, from a recording of {application.name}",
            where=where,
            allowed="--recording, made by coldstart record",
        )
    check_application(application)
    return simulator(application, Path())


def at_wake(wake: WakeProfile, latency_s: float) -> WakeProfile:
    """This wake with every one of its latencies the same."""
    return replace(wake, latency=Constant(latency_s))


def _key(trial: Trial, times: Times) -> Hashable:
    return trial.story, trial.pool.resolved, trial.wake, trial.seed, times
