"""`python -m harness.stacks.serving SCENARIO [POOL] [WAKE] [SEED]`: one trial's service and compute, driven by others.

A child of Locust when it is run by its own command line. Writes `StackReady`; on `BeginStory` warms the pool, suspends
the compute and writes `BurstPlanned`; ends with its stdin.
"""

import asyncio
import sys
import tempfile
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from time import monotonic

from harness.library import load_scenario
from harness.model.burst_share import lead_s
from harness.model.errors import StackError, UserError
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.timeline import Burst
from harness.model.wake import read_wake
from harness.processes.child import commands, emit
from harness.processes.messages import BeginStory, BurstPlanned, StackFailed, StackReady
from harness.stacks.base import RunOptions
from harness.stacks.embedded import EmbeddedStack
from harness.stacks.stage import Stage


async def serve(plan: PlannedRun, logs: Path) -> None:
    """Serve the plan's first trial, with one instance, until stdin ends."""
    trial = replace(plan.trials[0], story=replace(plan.trials[0].story, instances=1))
    options = RunOptions(logs=logs)
    stack = EmbeddedStack()
    stack.check(plan, options)
    async with stack.running(plan, options) as running, running.target(trial) as target:
        emit(StackReady(url=target.urls[0]))
        stage = Stage(trial, target, rows=None)
        reading = asyncio.create_task(stage.read(0))
        await stage.listeners()
        async for command in commands():
            assert isinstance(command, BeginStory)
            for phase in takewhile(lambda phase: not isinstance(phase, Burst), trial.story.timeline):
                await stage.phase(phase)
            emit(BurstPlanned(at_s=monotonic() + lead_s(trial.story.bursts[0])))
        reading.cancel()


def plan_of(arguments: list[str]) -> PlannedRun:
    """The run that the arguments name; what is left out is the scenario's."""
    name, pool, wake, seed = [*arguments, "", "", "", ""][:4]
    overrides = Overrides(
        pools=(PoolConfiguration.from_short(pool),) if pool else (),
        wakes=(read_wake(wake, where="--wake"),) if wake else (),
        seed=int(seed or 1),
    )
    return PlannedRun(scenario=load_scenario(name), overrides=overrides, real_time=True)


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory(prefix="coldstart-") as logs:
            asyncio.run(serve(plan_of(sys.argv[1:]), Path(logs)))
    except (UserError, StackError) as error:
        emit(StackFailed(error=str(error)))
        sys.exit(2 if isinstance(error, UserError) else 3)
