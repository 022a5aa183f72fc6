"""The embedded stack: real PostgreSQL from a wheel behind the harness' own Toxiproxy, with no system packages."""

import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from harness.application.starting import TEMPLATE, make_database, prepare_database
from harness.converter import to_json
from harness.model.plan import PlannedRun
from harness.model.trial import Trial
from harness.postgres import PostgresServer, embedded_postgres
from harness.postgres.binaries import binaries
from harness.processes.beside import beside
from harness.processes.messages import ProxyReady
from harness.processes.process import Child
from harness.proxy.client import ProxyClient, compute_of
from harness.service.catalogue import create_catalogue
from harness.stacks.base import RunOptions
from harness.stacks.pooled import pooled, pooler_versions
from harness.stacks.proxy_events import ProxyEvents
from harness.stacks.realtime import RealTimeStack, RunningRealTime, as_limited, connections_needed
from harness.stacks.target import SleepingDatabase
from harness.stacks.tidying import tidied
from harness.stacks.vitals import Vitals

SUPERUSER_RESERVED_CONNECTIONS = 3
"""PostgreSQL's default: of its max_connections, those that are no ordinary role's."""


class EmbeddedStack(RealTimeStack):
    """Real time on this machine, with nothing installed but Python packages."""

    name = "embedded"
    more_where_quick = True

    def check(self, plan: PlannedRun, options: RunOptions) -> None:
        """Raises `UserError` for what real time or this machine can't do."""
        super().check(plan, options)
        binaries()

    @asynccontextmanager
    async def running(self, plan: PlannedRun, options: RunOptions) -> AsyncIterator[RunningRealTime]:
        """PostgreSQL with the catalogue in it, and the proxy's process."""
        async with AsyncExitStack() as stack:
            server, postgres = await stack.enter_async_context(
                embedded_postgres(log=options.logs / "postgres.log", max_connections=connections_needed(plan.trials))
            )
            application = plan.overrides.application
            async with postgres.answerable():
                if application is None:
                    await create_catalogue(server.dsn)
                else:
                    await make_database(server, TEMPLATE)
                    log = options.logs / "prepare.log"
                    await prepare_database(application, replace(server, database=TEMPLATE), log)
            argv = [sys.executable, "-m", "harness.proxy", "0"]
            proxy = await stack.enter_async_context(
                Child.running("toxiproxy", argv, log=options.logs / "toxiproxy.log")
            )
            port = (await proxy.next_record(ProxyReady)).port
            client = await stack.enter_async_context(ProxyClient(port))
            vitals = await stack.enter_async_context(Vitals.watching((server.host, server.port)))
            databases = EmbeddedDatabases(
                server,
                postgres,
                vitals,
                client,
                options.logs,
                pooler_versions(plan.trials),
                template=None if application is None else TEMPLATE,
            )
            async with beside(databases.events.read(proxy), postgres.watch(), proxy.watch()):
                yield RunningRealTime(databases, options, application)


class EmbeddedDatabases:
    """One PostgreSQL, and for each trial a proxy of its own in front of it; an application's has a database too."""

    def __init__(
        self,
        server: PostgresServer,
        postgres: Child,
        vitals: Vitals,
        proxy: ProxyClient,
        logs: Path,
        poolers: dict[str, str],
        *,
        template: str | None = None,
    ) -> None:
        """`template` is the database that each trial's is a copy of; None: all have the server's own."""
        self._template = template
        self._logs = logs
        self.events = ProxyEvents()
        self._server = server
        self._postgres = postgres
        self._vitals = vitals
        self._proxy = proxy
        self._poolers = poolers

    def versions(self) -> dict[str, str]:
        return {"postgresql": f"{self._server.version} ({binaries().found})", **self._poolers}

    @asynccontextmanager
    async def database(self, trial: Trial) -> AsyncIterator[SleepingDatabase]:
        name = f"trial-{trial.number}"
        async with AsyncExitStack() as stack:
            server, postgres, vitals = await self._server_of(trial, stack)
            if self._template is not None:
                database = f"trial_{trial.number}"
                await make_database(server, database, self._template)
                server = replace(server, database=database)
            upstream = f"{server.host}:{server.port}"
            host, port = await self._proxy.create(name, upstream=upstream, compute=_compute(trial), way=_way(trial))
            tidied(stack, partial(self._proxy.remove, name))
            server = await as_limited(server, trial, trial.story.server, database=server.database)
            server = await stack.enter_async_context(pooled(replace(server, host=host, port=port), trial, self._logs))
            proxy = self._proxy
            yield SleepingDatabase(
                server=server,
                proxy=name,
                suspend=partial(proxy.suspend, name),
                slow=partial(proxy.slow, name),
                outage=partial(proxy.outage, name),
                lose=partial(proxy.lose, name),
                vitals=vitals,
                answerable=postgres.answerable,
            )

    async def _server_of(self, trial: Trial, stack: AsyncExitStack) -> tuple[PostgresServer, Child, Vitals]:
        """The run's server; where the story limits all connections, one of its own with that limit."""
        limit = trial.story.max_connections
        if limit is None:
            return self._server, self._postgres, self._vitals
        log = self._logs / f"trial-{trial.number}.postgres.log"
        server, postgres = await stack.enter_async_context(
            embedded_postgres(log=log, max_connections=limit + SUPERUSER_RESERVED_CONNECTIONS)
        )
        async with postgres.answerable():
            await create_catalogue(server.dsn)
        await stack.enter_async_context(beside(postgres.watch()))
        return server, postgres, await stack.enter_async_context(Vitals.watching((server.host, server.port)))


def _way(trial: Trial) -> dict[str, Any] | None:
    cost, reaper = trial.story.connect_cost, trial.story.reaper
    if cost is None and reaper is None:
        return None
    return {
        "connect_cost": None if cost is None else to_json(cost),
        "reaper": None if reaper is None else to_json(reaper),
        "seed": trial.seed,
    }


def _compute(trial: Trial) -> dict[str, Any] | None:
    if trial.wake is None:
        return None
    return compute_of(
        trial.wake,
        wake_latencies_s=trial.wake_latencies_s(),
        suspends_by_itself=trial.story.suspends_by_itself,
    )
