"""What every stack in real time has in common; they differ in where the database and its compute are.

Locust ──HTTP──▶ service under test ──▶ (PgBouncer) ──▶ a proxy that sleeps ──▶ PostgreSQL
one a trial      one a trial            one a trial     one a trial             one a run
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

import psutil

from harness.application.starting import check_in_real_time, start_application
from harness.model.application import Application
from harness.model.doubt import release_budget
from harness.model.plan import PlannedRun
from harness.model.server import ServerLimits
from harness.model.timeline import Deploy
from harness.model.trial import Trial
from harness.player import Player
from harness.postgres import PostgresServer
from harness.processes.messages import LoadReady, ServiceReady
from harness.processes.process import Child
from harness.service.catalogue import create_role
from harness.service.drivers import libpq_version
from harness.stacks.base import Parallelism, Progress, Recorder, RunOptions, check_warm
from harness.stacks.child_load import ChildLoadDriver
from harness.stacks.driving import running_load, running_service
from harness.stacks.honoured import check_honoured
from harness.stacks.pooled import check_pooler
from harness.stacks.proxy_events import ProxyEvents
from harness.stacks.quickness import quickness
from harness.stacks.target import SleepingDatabase, Target
from harness.stacks.timebase import TrialRows
from harness.stacks.wakes_apart import WakesApart, released_at_once

LOCUSTS_A_CORE = 3
"""On the slowest machine that was measured."""
WAKES_A_TRIAL = 4
"""So many times what that machine can release at once are held back at a time: their wakes are kept apart."""
MB_A_TRIAL = 300
"""A service, a Locust, and what PostgreSQL and the proxy have for them."""
RESERVED_CONNECTIONS = 20
"""For the catalogue, ghosts of trials that end, and PostgreSQL's own reserve."""


class Databases(Protocol):
    """Where a stack's databases come from, once it has started."""

    events: ProxyEvents

    def versions(self) -> dict[str, str]: ...

    def database(self, trial: Trial) -> AbstractAsyncContextManager[SleepingDatabase]:
        """A database for one trial, awake."""
        ...


class RealTimeStack:
    """Real time on this machine: what can be asked of it, and how many trials it can run at a time."""

    name: str
    more_where_quick = False
    """Whether a quick machine was measured to play more trials at a time on this stack, undisturbed."""

    def check(self, plan: PlannedRun, options: RunOptions) -> None:  # noqa: ARG002 - as every stack has it
        """Raises `UserError` for what real time can't do, `StackError` without a program that the story needs."""
        check_honoured(self.name, plan)
        check_warm(plan.trials)
        check_pooler(plan.trials)
        if (application := plan.overrides.application) is not None:
            check_in_real_time(application, stack=self.name)

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism:
        """As many trials as this machine can play at a time, and release, without measuring itself."""
        cores, quick = os.cpu_count() or 1, quickness() if self.more_where_quick else 1.0
        released, budget = max(1, *(released_at_once(trial) for trial in trials)), release_budget(cores)
        # A wake that is too large for this machine by itself has it for itself.
        fitting = int(budget * WAKES_A_TRIAL * (quick if released <= budget else 1)) // released
        locusts = 1 if options.workers is None else options.workers + 1
        in_memory = psutil.virtual_memory().available // (MB_A_TRIAL * 2**20 * locusts)
        at_a_time = max(1, min(len(trials), fitting, int(cores * LOCUSTS_A_CORE * quick) // locusts, in_memory))
        each = "" if options.workers is None else f"each trial has {locusts} Locust processes, "
        why = (
            f"{cores} {'core' if cores == 1 else 'cores'}, {each}and a wake releases about {released} requests a trial"
        )
        beyond = f"; this machine serves {budget} at once, so that trial is no measurement of its pool"
        if options.parallel is not None:
            at_a_time, why = min(options.parallel, len(trials)), "as asked" + (f"; {why}" if released > budget else "")
        apart = "; bursts begin so that wakes do not meet" if at_a_time > 1 else ""
        return Parallelism(at_a_time, why + apart + (beyond if released > budget else ""))

    def versions(self) -> dict[str, str]:
        """Of the libraries that the trials run on."""
        packages = ("sqlalchemy", "asyncpg", "psycopg", "fastapi", "uvicorn", "locust", "gevent", "starlette")
        return {package: version(package) for package in packages} | {"libpq": libpq_version()}


class RunningRealTime:
    """Databases that are up: ready for trials."""

    def __init__(self, databases: Databases, options: RunOptions, application: Application | None = None) -> None:
        """`application` takes the place of the service under test."""
        self._databases = databases
        self._options = options
        self._application = application
        self._starting = asyncio.Semaphore(max(1, os.cpu_count() or 1))
        self._apart = WakesApart(os.cpu_count() or 1)

    def versions(self) -> dict[str, str]:
        return self._databases.versions()

    async def run_trial(self, trial: Trial, recorder: Recorder, progress: Progress) -> None:
        """One trial: its database, its service and its Locust are its own."""
        rows = TrialRows(trial.number, recorder)
        async with AsyncExitStack() as stack:
            # Rows that were kept back are passed on however the trial ends.
            stack.callback(rows.flush)
            progress.phase(trial, "starting")
            async with self._starting:
                target = await stack.enter_async_context(self.target(trial))
                load = await stack.enter_async_context(
                    running_load(
                        target.urls[0], trial.story, log=self._log(trial, "locust"), workers=self._options.workers
                    )
                )
                await load.next_record(LoadReady)
            with (
                self._databases.events.of(target.database.proxy, rows),
                target.database.vitals.by(rows),
                self._apart.of(trial) as start_s,
            ):
                driver = ChildLoadDriver(trial, target, load, rows, progress, start_s=start_s)
                async with driver.attending(driver.read_load(), load.watch()):
                    await driver.try_application()
                    await Player(trial, driver).play()
                    await target.database.vitals.settled()

    @asynccontextmanager
    async def target(self, trial: Trial) -> AsyncIterator[Target]:
        """What a load generator is aimed at: a service whose pool reaches the database through the trial's compute."""
        async with AsyncExitStack() as stack:
            database = await stack.enter_async_context(self._databases.database(trial))
            services = [
                await stack.enter_async_context(self._service(trial, database, instance))
                for instance in range(trial.story.instances)
            ]
            ports = [(await service.next_record(ServiceReady)).port for service in services]
            urls = tuple(f"http://127.0.0.1:{port}" for port in ports)
            yield Target(urls, tuple(services), database, self._application)

    def _service(self, trial: Trial, database: SleepingDatabase, instance: int) -> AbstractAsyncContextManager[Child]:
        if self._application is not None:
            log = self._log(trial, _named("application", instance))
            return start_application(self._application, database.server, trial.pool, log=log)
        return running_service(database.server.dsn, trial, log=self._log(trial, _named("service", instance)))

    def _log(self, trial: Trial, part: str) -> Path:
        return self._options.logs / f"trial-{trial.number}.{part}.log"


def _named(part: str, instance: int) -> str:
    return part if instance == 0 else f"{part}-{instance}"


def connections_needed(trials: Sequence[Trial]) -> int:
    """What `max_connections` must be so that no trial meets it."""
    return sum(_of_an_instance(trial) * trial.story.instances for trial in trials) + RESERVED_CONNECTIONS


def _of_an_instance(trial: Trial) -> int:
    """The most connections that one instance of the service has at a time."""
    story = trial.story
    pools = trial.pool.capacity + sum(shape.pool.capacity for shape in story.shapes if shape.pool is not None)
    # While a deploy replaces its pools, an instance has the old ones and the new ones.
    deploys = sum(isinstance(phase, Deploy) for phase in story.phases)
    return pools * (1 + deploys) + (story.listener is not None)


async def as_limited(
    server: PostgresServer, trial: Trial, limits: ServerLimits, *, database: str | None = None
) -> PostgresServer:
    """The server as a trial's service logs in: as a role of its own where the story has limits."""
    if limits == ServerLimits() and trial.story.max_connections is None:
        return server
    role = f"trial_{trial.number}"
    dsn = server.dsn_at(server.host, server.port, database=database)
    return replace(server, user=role, password=await create_role(dsn, role, limits))
