"""The stack `target`: an application that is running already, on the database that a `coldstart up` serves.

Locust ──HTTP──▶ the application ──▶ coldstart up: a proxy that sleeps ──▶ PostgreSQL
one a trial      as it is            lent by it for the run

Of the application nothing is started, set or stopped; of `coldstart up` only its compute is used, and given back as it
was. There is one of each, so one trial is played after another.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from harness.application.starting import check_application, check_it_listens
from harness.model.application import Application
from harness.model.errors import UserError
from harness.model.plan import PlannedRun
from harness.model.timeline import Deploy, Warm
from harness.model.trial import Trial
from harness.player import Player
from harness.processes.beside import beside
from harness.processes.messages import LoadReady
from harness.processes.proxy_messages import AnyProxyEvent
from harness.proxy.client import ProxyClient, compute_of
from harness.stacks.base import Parallelism, Progress, Recorder, RunOptions, check_warm
from harness.stacks.driving import running_load
from harness.stacks.honoured import check_honoured
from harness.stacks.proxy_events import ProxyEvents
from harness.stacks.running_application import Asking, RunningApplicationDriver, WatchedDatabase
from harness.stacks.target import DatabaseControls, Target
from harness.stacks.timebase import TrialRows
from harness.stacks.vitals import Vitals
from harness.up.database import PROXY
from harness.up.running import RunningUp, the_running_one

UP_PORT = "--up-port"


class TargetStack:
    """Real time, with a user's application as it is running."""

    name = "target"

    def check(self, plan: PlannedRun, options: RunOptions) -> None:
        """Raises `UserError` for what can't be asked of what is running, and where nothing is."""
        application = plan.overrides.application
        if application is None or application.target is None:
            raise UserError("is an application that is running", where="stack target", allowed="--target URL")
        _check_pool(plan)
        check_honoured(self.name, plan)
        check_warm(plan.trials)
        for trial in plan.trials:
            _check_story(trial)
        if options.parallel is not None and options.parallel > 1:
            raise UserError(
                "there is one application, so one trial is played after another", where="--parallel", allowed="1"
            )
        check_application(application)
        the_running_one(options.up_port, option=UP_PORT)
        check_it_listens(application.target)

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism:  # noqa: ARG002 - as every stack
        """One at a time."""
        return Parallelism(1, "there is one application")

    def versions(self) -> dict[str, str]:
        """Of the load generator: what the application runs on is not known."""
        return {package: version(package) for package in ("locust", "gevent")}

    @asynccontextmanager
    async def running(self, plan: PlannedRun, options: RunOptions) -> AsyncIterator["RunningTarget"]:
        """The compute of `coldstart up`, lent: afterwards it has its own settings again, and is awake."""
        up = the_running_one(options.up_port, option=UP_PORT)
        application = plan.overrides.application
        assert application is not None
        async with AsyncExitStack() as stack:
            client = await stack.enter_async_context(ProxyClient(up.api_port))
            events = await stack.enter_async_context(client.borrowed(PROXY))
            asking = await stack.enter_async_context(Asking.of(application))
            vitals = await stack.enter_async_context(Vitals.watching(up.postgres))
            running = RunningTarget(application, up, client, asking, vitals, options)
            await stack.enter_async_context(beside(running.read(events)))
            yield running


class RunningTarget:
    """An application and a lent database: ready for one trial after another."""

    def __init__(
        self,
        application: Application,
        up: RunningUp,
        client: ProxyClient,
        asking: Asking,
        vitals: Vitals,
        options: RunOptions,
    ) -> None:
        self._application = application
        self._up = up
        self._client = client
        self._asking = asking
        self._vitals = vitals
        self._options = options
        self._events = ProxyEvents()
        self._watched = WatchedDatabase(client, up.port)
        self._noted: set[str] = set()

    def versions(self) -> dict[str, str]:
        """PostgreSQL's, where it is that of `coldstart up` itself."""
        return {} if self._up.version is None else {"postgresql": f"{self._up.version} (coldstart up)"}

    async def read(self, events: AsyncIterator[AnyProxyEvent]) -> None:
        """Takes what the proxy tells, until it ends. Raises `StackError` then."""
        async for event in events:
            self._watched.take(event)
            self._events.take(event)

    async def run_trial(self, trial: Trial, recorder: Recorder, progress: Progress) -> None:
        """One trial, on what all trials share."""
        rows = TrialRows(trial.number, recorder)
        url = (self._application.target or "").rstrip("/")
        async with AsyncExitStack() as stack:
            # Rows that were kept back are passed on however the trial ends.
            stack.callback(rows.flush)
            progress.phase(trial, "starting")
            log = self._options.logs / f"trial-{trial.number}.locust.log"
            load = await stack.enter_async_context(
                running_load(url, trial.story, log=log, workers=self._options.workers)
            )
            await load.next_record(LoadReady)
            await self._client.set_compute(PROXY, _compute(trial))
            since_s = asyncio.get_running_loop().time()
            controls = DatabaseControls(
                proxy=PROXY,
                suspend=partial(self._client.suspend, PROXY),
                slow=await stack.enter_async_context(self._slowing()),
                outage=partial(self._client.outage, PROXY),
                lose=partial(self._client.lose, PROXY),
                vitals=self._vitals,
            )
            target = Target((url,), (), controls, self._application)
            driver = RunningApplicationDriver(
                trial, target, load, rows, progress,
                asking=self._asking, watched=self._watched, note=partial(self._note, recorder),
            )  # fmt: skip
            with self._events.of(PROXY, rows, since_s=since_s), self._vitals.by(rows):
                async with driver.attending(driver.read_load(), load.watch()):
                    await driver.try_application()
                    await Player(trial, driver).play()
                    await self._vitals.settled()

    @asynccontextmanager
    async def _slowing(self) -> "AsyncIterator[Any]":
        """Makes round trips longer, until the trial ends."""
        slowed_s = 0.0

        async def slow(round_trip_s: float) -> None:
            nonlocal slowed_s
            if slowed_s:
                await self._client.slow(PROXY, 0)
            slowed_s = 0.0
            if round_trip_s:
                await self._client.slow(PROXY, round_trip_s)
                slowed_s = round_trip_s

        yield slow
        await slow(0)

    def _note(self, recorder: Recorder, line: str) -> None:
        """A note, once for all trials that say the same."""
        if line not in self._noted:
            self._noted.add(line)
            recorder.note(line)


def _compute(trial: Trial) -> dict[str, Any]:
    """The trial's compute; a control's stays awake."""
    if trial.wake is None:
        return compute_of(trial.story.wakes[0], wake_latencies_s=[0.0], suspends_by_itself=False, names_clients=True)
    return compute_of(
        trial.wake,
        wake_latencies_s=trial.wake_latencies_s(),
        suspends_by_itself=trial.story.suspends_by_itself,
        names_clients=True,
    )


def _check_pool(plan: PlannedRun) -> None:
    """Raises `UserError` unless the user says with which pool the application runs: one."""
    if len(plan.overrides.pools) == 1:
        return
    given = "no pool is given" if not plan.overrides.pools else f"{len(plan.overrides.pools)} pools are given"
    raise UserError(
        f"{given}: the application has one, and only you know which",
        where="--target",
        allowed="--pool 10+5, what it runs with, as a label",
    )


def _check_story(trial: Trial) -> None:
    """Raises `UserError` for a phase that needs more of an application than its answers."""
    for phase in trial.story.phases:
        what = None
        if isinstance(phase, Deploy):
            what = "a deploy replaces its pool"
        elif isinstance(phase, Warm) and phase.ages_s:
            what = "ages_s of a warm phase are its pool's"
        elif isinstance(phase, Warm) and phase.opens == 0:
            what = "a pool that never connected (warm 0) is one of an application that has just started"
        if what is not None:
            raise UserError(
                f"{what}, which no request reaches",
                where=f"scenario {trial.story.name} on stack target",
                allowed="--app, which starts the application for each trial",
            )
