"""The simulated stack: every trial in virtual time, in this process or, when there are many, in one a core."""

import asyncio
import ctypes
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import asynccontextmanager
from importlib.metadata import version
from multiprocessing import get_context

from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.trial import Trial
from harness.simulation.trial import Simulated, simulate
from harness.stacks.base import Parallelism, Progress, Recorder, RunOptions, check_warm
from harness.stacks.honoured import check_honoured

WORTH_PROCESSES = 24
"""Fewer trials are done before other processes would have imported what they need."""
PR_SET_PDEATHSIG = 1


class SimulatedStack:
    """Virtual time on this machine's cores. Needs no database, no proxy and no port."""

    name = "simulated"

    def check(self, plan: PlannedRun, options: RunOptions) -> None:
        """Raises `UserError` for what the story can't mean."""
        if options.workers is not None:
            raise UserError("--workers belongs to the stacks in real time: here is no Locust", where="stack simulated")
        check_honoured(self.name, plan)
        check_warm(plan.trials)

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism:
        if options.parallel is not None:
            return Parallelism(min(options.parallel, len(trials)), "as asked")
        if len(trials) < WORTH_PROCESSES:
            return Parallelism(1, "in virtual time a trial takes a fraction of a second")
        cores = os.cpu_count() or 1
        return Parallelism(cores, f"a process for each of {cores} cores")

    def versions(self) -> dict[str, str]:
        """Of the libraries that the trials run on."""
        return {package: version(package) for package in ("sqlalchemy", "asyncpg")}

    @asynccontextmanager
    async def running(self, plan: PlannedRun, options: RunOptions) -> AsyncIterator["RunningSimulated"]:
        at_a_time = options.parallel or 1
        executor: Executor
        if at_a_time == 1:
            executor = ThreadPoolExecutor(1, "simulation")
        else:
            executor = ProcessPoolExecutor(at_a_time, get_context("spawn"), initializer=_become_worker)
        try:
            yield RunningSimulated(executor, plan)
        finally:
            executor.shutdown(cancel_futures=True)


class RunningSimulated:
    """Ready to simulate."""

    def __init__(self, executor: Executor, plan: PlannedRun) -> None:
        self._executor = executor
        self._plan = plan

    def versions(self) -> dict[str, str]:
        """There are no servers."""
        return {}

    async def run_trial(self, trial: Trial, recorder: Recorder, progress: Progress) -> None:
        progress.phase(trial, "in virtual time")
        loop = asyncio.get_running_loop()
        times = self._plan.times(trial.story)
        rows: Simulated = await loop.run_in_executor(self._executor, simulate, trial, times)
        recorder.add_requests(trial.number, rows.requests)
        recorder.add_pool(trial.number, rows.pool)
        recorder.add_events(trial.number, rows.events)
        for row in rows.requests:
            progress.request_ended(trial, row["outcome"])


def _become_worker() -> None:
    """A worker leaves Ctrl-C to its parent, and goes down with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
