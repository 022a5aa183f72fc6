"""The simulated stack past one machine: every trial in virtual time, on the workers of a Dask scheduler."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from harness.cluster.scheduler import Scheduler, Workers, find_workers
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.trial import Trial
from harness.processes.cancelling import run_async
from harness.stacks.base import Parallelism, RunOptions
from harness.stacks.simulated import RunningSimulated, SimulatedStack

TRIALS_A_THREAD = 2
"""How many each thread of a worker has: the one that it plays, and the next, so that it need not wait for it."""


class ScheduledStack(SimulatedStack):
    """The same rows as the simulated stack's own, which are the same on any machine."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._workers = Workers(0, 0)

    def check(self, plan: PlannedRun, options: RunOptions) -> None:
        """Raises `UserError` also for what the workers don't have, and `StackError` where there are none."""
        if plan.overrides.application is not None:
            raise UserError("an application of your own is not on a scheduler's workers", where="--scheduler")
        super().check(plan, options)
        self._workers = run_async(find_workers(self._address))

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism:
        number, threads = self._workers.number, self._workers.threads
        where = f"on {number} {'worker' if number == 1 else 'workers'} of the Dask scheduler {self._address}"
        if options.parallel is not None:
            return Parallelism(min(options.parallel, len(trials)), f"as asked, {where}")
        return Parallelism(
            min(TRIALS_A_THREAD * threads, len(trials)),
            f"{where}, {TRIALS_A_THREAD} for each of {threads} {'thread' if threads == 1 else 'threads'}",
        )

    @asynccontextmanager
    async def running(self, plan: PlannedRun, options: RunOptions) -> AsyncIterator[RunningSimulated]:  # noqa: ARG002 - as every stack has it
        async with Scheduler.running(self._address) as scheduler:
            yield RunningSimulated(scheduler, plan)
