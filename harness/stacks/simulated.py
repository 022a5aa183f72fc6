"""The simulated stack: every trial in virtual time, in processes of their own; when there are many, one a core."""

import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol

from harness.application.starting import check_in_virtual_time, simulator
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.times import Times
from harness.model.trial import Trial
from harness.simulation.rows import Simulated
from harness.simulation.simulators import SERVICE, Say, Simulators
from harness.simulation.versions import library_versions
from harness.stacks.base import Parallelism, Progress, Recorder, RunOptions, check_warm
from harness.stacks.honoured import check_honoured

WORTH_PROCESSES = 24
"""From this many trials on, more processes pay: fewer are done before a second process has imported what it needs."""


class SimulatedStack:
    """Virtual time on this machine's cores. Needs no database, no proxy and no port."""

    name = "simulated"

    def check(self, plan: PlannedRun, options: RunOptions) -> None:
        """Raises `UserError` for what the story can't mean."""
        if options.workers is not None:
            raise UserError("--workers belongs to the stacks in real time: here is no Locust", where="stack simulated")
        check_honoured(self.name, plan)
        check_warm(plan.trials)
        if (application := plan.overrides.application) is not None:
            check_in_virtual_time(application, plan.trials)

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism:
        if options.parallel is not None:
            return Parallelism(min(options.parallel, len(trials)), "as asked")
        if len(trials) < WORTH_PROCESSES:
            return Parallelism(1, "in virtual time a trial takes a fraction of a second")
        cores = os.cpu_count() or 1
        return Parallelism(cores, f"a process for each of {cores} cores")

    def versions(self) -> dict[str, str]:
        """Of the libraries that the trials run on."""
        return library_versions()

    @asynccontextmanager
    async def running(self, plan: PlannedRun, options: RunOptions) -> AsyncIterator["RunningSimulated"]:
        application = plan.overrides.application
        program = SERVICE if application is None else simulator(application, Path())
        async with Simulators.running(options.parallel or 1, logs=options.logs, program=program) as simulators:
            yield RunningSimulated(simulators, plan)


class TrialPlayer(Protocol):
    """What has trials played in virtual time, somewhere: `Simulators` on this machine."""

    async def play(self, trial: Trial, times: Times, say: Say) -> Simulated:
        """As `Simulators.play`."""
        ...


class RunningSimulated:
    """Ready to simulate."""

    def __init__(self, simulators: TrialPlayer, plan: PlannedRun) -> None:
        self._simulators = simulators
        self._plan = plan

    def versions(self) -> dict[str, str]:
        """There are no servers, and the kernel is what the plan says."""
        return {"kernel": self._plan.kernel.words}

    async def run_trial(self, trial: Trial, recorder: Recorder, progress: Progress) -> None:
        def say(line: str) -> None:
            progress.say(line)
            recorder.note(line)

        progress.phase(trial, "in virtual time")
        rows = await self._simulators.play(trial, self._plan.times(trial.story), say)
        for what, times in rows.marks.items():
            say(f"{trial.label} (!): {what}" + (f", {times} times" if times > 1 else ""))
        recorder.add_requests(trial.number, rows.requests)
        recorder.add_pool(trial.number, rows.pool)
        recorder.add_events(trial.number, rows.events)
        for row in rows.requests:
            progress.request_ended(trial, row["outcome"])
