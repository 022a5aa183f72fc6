"""The embedded stack: real PostgreSQL from a wheel behind the harness' own Toxiproxy, real time, no system packages.

Locust ──HTTP──▶ service under test ──▶ proxy with a compute ──▶ PostgreSQL
one a trial      one a trial            one listener a trial     one a run
"""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.postgres import PostgresServer, embedded_postgres
from harness.postgres.binaries import binaries
from harness.process import Child
from harness.proxy.client import ProxyClient, compute_of
from harness.service.catalogue import create_catalogue
from harness.stacks.base import Parallelism, Progress, Recorder, RunOptions, check_warm
from harness.stacks.driving import running_load, running_service
from harness.stacks.story import ProxyEvents, play
from harness.stacks.timebase import TrialRows
from harness.trial import Trial

RELEASE_BUDGET = 160
"""Requests that may be released at the same moment, a core: more, and the wake would show this machine's own queue."""
LOCUSTS_A_CORE = 3
RESERVED_CONNECTIONS = 20
"""For the catalogue, ghosts of trials that end, and PostgreSQL's own reserve."""


class EmbeddedStack:
    """Real time on this machine, with nothing installed but Python packages."""

    name = "embedded"

    def check(self, trials: Sequence[Trial], options: RunOptions) -> None:
        """Raises `UserError` for what real time or this machine can't do."""
        if (options.service_time_s, options.connect_time_s, options.calibration) != (None, None, None):
            what = "--service-time, --connect-time and --calibration"
            raise UserError(f"{what} belong to the simulated stack", where="stack embedded")
        binaries()
        check_warm(trials)

    def parallelism(self, trials: Sequence[Trial], options: RunOptions) -> Parallelism:
        """As many trials as this machine can release at one moment without measuring itself."""
        if options.parallel is not None:
            return Parallelism(min(options.parallel, len(trials)), "as asked")
        cores = os.cpu_count() or 1
        released = max(1, *(_released_at_once(trial) for trial in trials))
        fitting = max(1, cores * RELEASE_BUDGET * 4 // released)
        locusts = 1 if options.workers is None else options.workers + 1
        at_a_time = min(len(trials), fitting, max(1, cores * LOCUSTS_A_CORE // locusts))
        each = "" if options.workers is None else f"each trial has {locusts} Locust processes, "
        why = (
            f"{cores} cores, {each}and a wake releases about {released} requests a trial; "
            f"trials begin one after the other, so that their wakes do not meet"
        )
        return Parallelism(at_a_time, why)

    def versions(self) -> dict[str, str]:
        """Of the libraries that the trials run on."""
        packages = ("sqlalchemy", "asyncpg", "fastapi", "uvicorn", "locust", "gevent", "starlette")
        return {package: version(package) for package in packages}

    @asynccontextmanager
    async def running(self, trials: Sequence[Trial], options: RunOptions) -> AsyncIterator["RunningEmbedded"]:
        """PostgreSQL with the catalogue in it, and the proxy's process."""
        connections = sum(trial.pool.capacity for trial in trials) + RESERVED_CONNECTIONS
        async with AsyncExitStack() as stack:
            server, postgres = await stack.enter_async_context(
                embedded_postgres(log=options.logs / "postgres.log", max_connections=connections)
            )
            await create_catalogue(server.dsn)
            argv = [sys.executable, "-m", "harness.proxy", "0"]
            proxy = await stack.enter_async_context(
                Child.running("toxiproxy", argv, log=options.logs / "toxiproxy.log")
            )
            port = (await proxy.next_record("ready"))["port"]
            client = await stack.enter_async_context(ProxyClient(port))
            events = ProxyEvents()
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(events.read(proxy)),
                    group.create_task(postgres.watch()),
                    group.create_task(proxy.watch()),
                ]
                try:
                    yield RunningEmbedded(server, client, events, options)
                finally:
                    for task in tasks:
                        task.cancel()


class RunningEmbedded:
    """Embedded PostgreSQL and the proxy, ready for trials."""

    def __init__(self, server: PostgresServer, proxy: ProxyClient, events: ProxyEvents, options: RunOptions) -> None:
        self._server = server
        self._proxy = proxy
        self._events = events
        self._options = options
        self._starting = asyncio.Semaphore(max(1, os.cpu_count() or 1))

    def versions(self) -> dict[str, str]:
        return {"postgresql": f"{self._server.version} ({binaries().found})"}

    async def run_trial(self, trial: Trial, recorder: Recorder, progress: Progress) -> None:
        """One trial: its proxy, its service and its Locust are its own."""
        rows = TrialRows(trial.number, recorder)
        async with AsyncExitStack() as stack:
            # Rows that were kept back are passed on however the trial ends.
            stack.callback(rows.flush)
            progress.phase(trial, "starting")
            async with self._starting:
                target = await stack.enter_async_context(self.target(trial))
                load = await stack.enter_async_context(
                    running_load(
                        target.url, trial.scenario, log=self._log(trial, "locust"), workers=self._options.workers
                    )
                )
                await load.next_record("ready")
            with self._events.of(target.proxy, rows):
                await play(
                    trial, service=target.service, load=load, suspend=target.suspend, rows=rows, progress=progress
                )

    @asynccontextmanager
    async def target(self, trial: Trial) -> AsyncIterator["Target"]:
        """What a load generator is aimed at: a service whose pool reaches the database through the trial's compute."""
        name = f"trial-{trial.number}"
        upstream = f"{self._server.host}:{self._server.port}"
        host, port = await self._proxy.create(name, upstream=upstream, compute=_compute(trial))
        try:
            dsn = self._server.dsn_at(host, port, driver="postgresql+asyncpg")
            async with running_service(dsn, trial.pool, log=self._log(trial, "service")) as service:
                listening = (await service.next_record("ready"))["port"]
                yield Target(f"http://127.0.0.1:{listening}", name, service, partial(self._proxy.suspend, name))
        finally:
            await self._proxy.remove(name)

    def _log(self, trial: Trial, part: str) -> Path:
        return self._options.logs / f"trial-{trial.number}.{part}.log"


@dataclass(frozen=True, slots=True)
class Target:
    """A service under test, ready for requests."""

    url: str
    proxy: str
    service: Child
    suspend: Callable[[], Awaitable[None]]
    """Suspends the compute behind it."""


def _compute(trial: Trial) -> dict[str, Any] | None:
    if trial.wake is None:
        return None
    return compute_of(
        trial.wake,
        wake_latencies_s=trial.wake_latencies_s(),
        suspends_by_itself=trial.scenario.suspends_by_itself,
    )


def _released_at_once(trial: Trial) -> int:
    """About how many requests wait when the compute wakes."""
    if trial.wake_latency_s is None:
        return 0
    return max(
        round(burst.requests * min(1.0, trial.wake_latency_s / burst.over_s if burst.over_s else 1.0))
        for burst in trial.scenario.bursts
    )
