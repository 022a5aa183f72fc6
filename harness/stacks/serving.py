"""`python -m harness.stacks.serving SCENARIO [POOL] [WAKE] [SEED]`: one trial's service and compute, driven by others.

A child of Locust when it is run by its own command line. Says `ready` with the service's `url`; on `begin` warms
the pool, suspends the compute and says `begin` with the moment, on the monotonic clock, at which the burst is to
start; ends with its stdin.
"""

import asyncio
import sys
import tempfile
from pathlib import Path
from time import monotonic
from typing import Any

from harness.child import commands, emit
from harness.errors import StackError, UserError
from harness.library import load_scenario
from harness.order import lead_s
from harness.pool import PoolConfiguration
from harness.process import Child
from harness.scenario import Idle, Suspend, Warm
from harness.stacks.base import RunOptions
from harness.stacks.embedded import EmbeddedStack
from harness.stacks.realtime import Target
from harness.trial import Trial


async def serve(trial: Trial, logs: Path) -> None:
    """Serve one trial until stdin ends."""
    options = RunOptions(logs=logs)
    stack = EmbeddedStack()
    stack.check([trial], options)
    async with stack.running([trial], options) as running, running.target(trial) as target:
        emit({"record": "ready", "url": target.url})
        warmed = asyncio.Queue[dict[str, Any]]()
        reading = asyncio.create_task(_read(target.service, warmed))
        async for command in commands():
            if command["command"] == "begin":
                await _begin(trial, target, warmed)
                emit({"record": "begin", "at_s": monotonic() + lead_s(trial.scenario.bursts[0])})
        reading.cancel()


async def _read(service: Child, warmed: asyncio.Queue[dict[str, Any]]) -> None:
    """The pool's samples are nobody's here; read, they do not pile up."""
    async for record in service.records():
        if record["record"] != "pool":
            warmed.put_nowait(record)


async def _begin(trial: Trial, target: Target, warmed: asyncio.Queue[dict[str, Any]]) -> None:
    for phase in trial.scenario.timeline:
        match phase:
            case Warm(connections):
                wanted = trial.pool.pool_size if connections is None else connections
                await target.service.send({"command": "warm", "connections": wanted})
                if (record := await warmed.get())["record"] != "warmed":
                    raise StackError("service", f"could not warm its pool: {record['error']}", log=target.service.log)
            case Suspend():
                await target.database.suspend()
            case Idle(for_s):
                await asyncio.sleep(for_s)


def asked(arguments: list[str]) -> Trial:
    """The trial that the arguments name; one left out is the scenario's first."""
    name, pool, wake, seed = [*arguments, "", "", "", ""][:4]
    scenario = load_scenario(name)
    chosen = PoolConfiguration.from_short(pool) if pool else scenario.pool_configurations[0]
    profile = scenario.wakes[0].but(latency_s=float(wake)) if wake else scenario.wakes[0]
    return Trial(number=0, scenario=scenario, pool=chosen, wake=profile, seed=int(seed or 1))


if __name__ == "__main__":
    try:
        with tempfile.TemporaryDirectory(prefix="coldstart-") as logs:
            asyncio.run(serve(asked(sys.argv[1:]), Path(logs)))
    except (UserError, StackError) as error:
        emit({"record": "failed", "error": str(error)})
        sys.exit(2 if isinstance(error, UserError) else 3)
