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

from harness.library import told_in_real_time
from harness.model.errors import StackError, UserError
from harness.model.order import lead_s
from harness.model.pool import PoolConfiguration
from harness.model.scenario import Burst
from harness.model.trial import Trial
from harness.processes.child import commands, emit
from harness.processes.messages import BeginStory, BurstPlanned, StackFailed, StackReady
from harness.stacks.base import RunOptions
from harness.stacks.embedded import EmbeddedStack
from harness.stacks.stage import Stage


async def serve(trial: Trial, logs: Path) -> None:
    """Serve one trial until stdin ends."""
    options = RunOptions(logs=logs)
    stack = EmbeddedStack()
    stack.check([trial], options)
    async with stack.running([trial], options) as running, running.target(trial) as target:
        emit(StackReady(url=target.urls[0]))
        stage = Stage(trial, target, rows=None)
        reading = asyncio.create_task(stage.read(0))
        await stage.listeners()
        async for command in commands():
            assert isinstance(command, BeginStory)
            for phase in takewhile(lambda phase: not isinstance(phase, Burst), trial.scenario.timeline):
                await stage.phase(phase)
            emit(BurstPlanned(at_s=monotonic() + lead_s(trial.scenario.bursts[0])))
        reading.cancel()


def asked(arguments: list[str]) -> Trial:
    """The trial that the arguments name; one left out is the scenario's first."""
    name, pool, wake, seed = [*arguments, "", "", "", ""][:4]
    scenario = replace(told_in_real_time(name), instances=1)
    chosen = PoolConfiguration.from_short(pool) if pool else scenario.pool_configurations[0]
    profile = scenario.wakes[0].but(latency_s=float(wake)) if wake else scenario.wakes[0]
    return Trial(number=0, scenario=scenario, pool=chosen, wake=profile, seed=int(seed or 1))


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory(prefix="coldstart-") as logs:
            asyncio.run(serve(asked(sys.argv[1:]), Path(logs)))
    except (UserError, StackError) as error:
        emit(StackFailed(error=str(error)))
        sys.exit(2 if isinstance(error, UserError) else 3)
