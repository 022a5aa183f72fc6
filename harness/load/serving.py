"""`python -m harness.load.serving SCENARIO POOL WAKE SEED HOST`: a story played for Locust's own command line.

A child of Locust. Without HOST it brings up the service, its compute and a database; with one the service is somebody
else's, and of the story only the bursts and the idle phases can be played. It writes `StackReady`; on `BeginStory` it
plays the scenario's first trial and says which burst Locust is to drive when. It ends with its stdin.
"""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from harness.converter import to_json
from harness.library import load_scenario
from harness.model.errors import StackError, UserError
from harness.model.events import Event
from harness.model.load_share import LoadShare, lead_s
from harness.model.plan import Overrides, PlannedRun
from harness.model.pool import PoolConfiguration
from harness.model.timeline import ConnectionLoss, Outage
from harness.model.trial import Trial
from harness.model.wake import read_wake
from harness.player import Driver, Player
from harness.processes.child import commands, emit
from harness.processes.messages import BeginStory, BurstDriven, BurstPlanned, StackFailed, StackReady, StoryPlayed
from harness.stacks.base import RunOptions
from harness.stacks.embedded import EmbeddedStack
from harness.stacks.target import Target, TargetDriver

NETWORK_LEAD_S = 0.4
"""Beyond what drawing the schedule needs: a message to another host may take a while."""


class LocustBursts:
    """What of a `Driver` is about the clients: Locust, which is this process's parent, drives them."""

    def __init__(self, urls: tuple[str, ...], *, lead_s: float = 0.0) -> None:
        self._urls = urls
        self._lead_s = lead_s
        self._driven = asyncio.Queue[BurstDriven]()

    def driven(self, command: BurstDriven) -> None:
        self._driven.put_nowait(command)

    async def begin_load(self, share: LoadShare) -> float:
        while not self._driven.empty():
            # Of a test that was stopped.
            self._driven.get_nowait()
        start_s = asyncio.get_running_loop().time() + lead_s(share.load) + self._lead_s
        emit(BurstPlanned(at_s=start_s, share=to_json(share), urls=self._urls))
        return start_s

    async def end_load(self, share: LoadShare) -> float:  # noqa: ARG002 - the one under way
        return (await self._driven.get()).at_s

    def under_way(self, phase: str) -> None:
        """Locust's own output says how far it is."""


class OwnService(LocustBursts, TargetDriver):
    """The service, its compute and its database are ours, and every story on them is whole. Nothing is recorded."""

    def __init__(self, trial: Trial, target: Target) -> None:
        LocustBursts.__init__(self, target.urls)
        TargetDriver.__init__(self, trial, target, rows=None)
        self._connected = False

    async def connect_listeners(self) -> None:
        # They are connected once, and a test may be started again and again.
        if not self._connected:
            await super().connect_listeners()
            self._connected = True


class ForeignService(LocustBursts):
    """The service is somebody else's: what a timeline asks of it and its database is theirs to do."""

    def __init__(self) -> None:
        super().__init__((), lead_s=NETWORK_LEAD_S)

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None: ...

    async def connect_listeners(self) -> None: ...

    async def warm(self, ages_s: Sequence[float]) -> float:  # noqa: ARG002 - theirs to do
        return asyncio.get_running_loop().time()

    async def suspend(self) -> None: ...

    async def slow(self, round_trip_s: float) -> None: ...

    async def outage(self, outage: Outage) -> None: ...

    async def lose_connections(self, loss: ConnectionLoss) -> None: ...

    async def replace_pool(self, instance: int) -> None: ...


async def serve(plan: PlannedRun, host: str, logs: Path) -> None:
    """Play the plan's first trial as often as Locust wants, until stdin ends."""
    trial = plan.trials[0]
    if host and trial.story.shapes:
        names = ", ".join(shape.name for shape in trial.story.shapes)
        what = f"{names}: a request shape is the service under test's own, and --host names another service"
        raise UserError(what, where=f"scenario {trial.story.name}")
    if host:
        emit(StackReady(url=None))
        await _follow(trial, ForeignService())
        return
    async with _own(plan, trial, logs) as driver:
        await _follow(trial, driver)


@asynccontextmanager
async def _own(plan: PlannedRun, trial: Trial, logs: Path) -> AsyncIterator[OwnService]:
    stack, options = EmbeddedStack(), RunOptions(logs=logs)
    stack.check(plan, options)
    async with stack.running(plan, options) as running, running.target(trial) as target:
        driver = OwnService(trial, target)
        async with driver.attending():
            await driver.connect_listeners()
            emit(StackReady(url=target.urls[0]))
            yield driver


async def _follow(trial: Trial, driver: OwnService | ForeignService) -> None:
    playing: asyncio.Task[None] | None = None
    async with asyncio.TaskGroup() as group:
        async for command in commands():
            match command:
                case BeginStory():
                    await _stopped(playing)
                    playing = group.create_task(_play(trial, driver))
                case BurstDriven():
                    driver.driven(command)
                case _:
                    raise StackError("locust", f"sent {type(command).__name__}, which nobody waits for")
        await _stopped(playing)


async def _play(trial: Trial, driver: Driver) -> None:
    await Player(trial, driver).play()
    emit(StoryPlayed())


async def _stopped(playing: asyncio.Task[None] | None) -> None:
    if playing is not None and playing.cancel():
        with suppress(asyncio.CancelledError):
            await playing


def plan_of(name: str, pool: str, wake: str, seed: str) -> PlannedRun:
    """The run that the arguments name; what is empty is the scenario's."""
    overrides = Overrides(
        pools=(PoolConfiguration.from_short(pool),) if pool else (),
        wakes=(read_wake(wake, where="--wake"),) if wake else (),
        seed=int(seed or 1),
    )
    return PlannedRun(scenario=load_scenario(name), overrides=overrides, real_time=True)


def main() -> int:
    name, pool, wake, seed, host = [*sys.argv[1:], "", "", "", ""][:5]
    status = 0
    try:
        with tempfile.TemporaryDirectory(prefix="coldstart-") as logs:
            asyncio.run(serve(plan_of(name, pool, wake, seed), host, Path(logs)))
    except* (UserError, StackError) as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        emit(StackFailed(error=str(error)))
        status = 2 if isinstance(error, UserError) else 3
    return status


if __name__ == "__main__":
    sys.exit(main())
