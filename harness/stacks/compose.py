"""The compose stack: the official PostgreSQL and Toxiproxy images, by docker-compose.yml, as the team runs them.

Locust and the service under test are this machine's own processes, as on every stack in real time: each trial has
its own pool settings, everybody stamps one clock, and Ctrl-C ends them in order.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import asyncpg

from harness.application.starting import prepare_database
from harness.compose.engine import compose_binary, engine
from harness.compose.sessions import DatabaseSessions
from harness.model.application import Application
from harness.model.compute import OnSuspend
from harness.model.errors import StackError, UserError
from harness.model.plan import PlannedRun
from harness.model.server import ServerLimits
from harness.model.timeline import ConnectionLoss, Outage
from harness.model.trial import Trial
from harness.postgres import PostgresServer
from harness.postgres.administering import administering
from harness.processes.beside import beside
from harness.processes.messages import ContainersReady, ProxyReported
from harness.processes.process import Child
from harness.proxy.client import SLOW, slow_toxic
from harness.proxy.compute_settings import ComputeSettings
from harness.proxy.toxiproxy import ToxiproxyServer
from harness.proxy.toxiproxy_compute import ToxiproxyCompute
from harness.service.catalogue import create_catalogue
from harness.stacks.base import RunOptions
from harness.stacks.pooled import pooled, pooler_versions
from harness.stacks.proxy_events import ProxyEvents
from harness.stacks.realtime import RealTimeStack, RunningRealTime, as_limited, connections_needed
from harness.stacks.target import SleepingDatabase
from harness.stacks.tidying import tidied
from harness.stacks.vitals import Vitals

CAN_SUSPEND = frozenset({OnSuspend.CLOSE, OnSuspend.TERMINATE, OnSuspend.FREEZE})
HOST = "127.0.0.1"
UPSTREAM = "postgres:5432"
"""As Toxiproxy's container reaches the server."""
TEMPLATE = "template_of_trials"
DOWN_LIMIT_S = 60.0
SERVER_CONNECTIONS_PER_SLOT = 3
"""What PostgreSQL must allow for one slot of a pool: the real Toxiproxy connects to it for every held connection, also
for those whose clients have given up."""


class ComposeStack(RealTimeStack):
    """Real time, PostgreSQL and Toxiproxy in containers."""

    name = "compose"

    def check(self, plan: PlannedRun, options: RunOptions) -> None:
        """Raises `UserError` for what real time or the real Toxiproxy can't do, `StackError` without an engine."""
        super().check(plan, options)
        for trial in plan.trials:
            losses = any(isinstance(phase, ConnectionLoss) for phase in trial.story.phases) or None
            beyond = {"connect_cost": trial.story.connect_cost, "reaper": trial.story.reaper, "ConnectionLoss": losses}
            for what, said in beyond.items():
                if said is not None:
                    raise UserError(
                        f"Toxiproxy can't express {what}: the embedded stack can", where=f"scenario {trial.story.name}"
                    )
            for outage in outages(trial):
                ToxiproxyCompute.check_outage(outage, can=CAN_SUSPEND)
            if trial.wake is None or not trial.wake.can_sleep:
                continue
            ToxiproxyCompute.check(trial.wake, can=CAN_SUSPEND)
            if trial.story.suspends_by_itself:
                raise UserError(
                    "the real Toxiproxy does not tell of traffic, so the compute can't suspend for want of it here: "
                    "the embedded stack can",
                    where=f"scenario {trial.story.name}",
                    allowed="a timeline with Suspend()",
                )
        engine()
        compose_binary()

    @asynccontextmanager
    async def running(self, plan: PlannedRun, options: RunOptions) -> AsyncIterator[RunningRealTime]:
        """The containers, healthy, with the catalogue in the database."""
        places = options.parallel or 1
        max_connections = SERVER_CONNECTIONS_PER_SLOT * connections_needed(plan.trials)
        argv = [
            sys.executable, "-m", "harness.compose", "--places", str(places),
            "--max-connections", str(max_connections), "--logs", str(options.logs),
        ]  # fmt: skip
        async with AsyncExitStack() as stack:
            containers = await stack.enter_async_context(
                Child.running("compose", argv, log=options.logs / "compose.log", grace_s=DOWN_LIMIT_S)
            )
            ready = await containers.next_record(ContainersReady)
            server = PostgresServer(
                host=HOST,
                port=ready.postgres,
                user="postgres",
                database="postgres",
                version="",
                password=ready.password,
            )
            vitals = await stack.enter_async_context(Vitals.watching((server.host, server.port)))
            databases = ComposeDatabases(
                server,
                containers,
                vitals,
                ToxiproxyServer(ready.toxiproxy),
                ready.proxies,
                ready.container,
                options.logs,
            )
            application = plan.overrides.application
            await databases.prepare(pooler_versions(plan.trials), application)
            async with beside(databases.read(containers), containers.watch()):
                yield RunningRealTime(databases, options, application)


class ComposeDatabases:
    """One PostgreSQL, and for each trial a database and a proxy of its own."""

    def __init__(
        self,
        server: PostgresServer,
        containers: Child,
        vitals: Vitals,
        toxiproxy: ToxiproxyServer,
        proxies: dict[int, int],
        container: str,
        logs: Path,
    ) -> None:
        self.events = ProxyEvents()
        self._server = server
        self._containers = containers
        self._vitals = vitals
        self._toxiproxy = toxiproxy
        self._published_ports = proxies
        self._free_ports = list(proxies)
        self._container = container
        self._logs = logs
        self._computes: dict[str, ToxiproxyCompute] = {}
        self._versions: dict[str, str] = {}

    def versions(self) -> dict[str, str]:
        return self._versions

    async def prepare(self, poolers: dict[str, str], application: Application | None) -> None:
        """Makes the template of every trial's database: the catalogue in it, or what the application needs.

        Asks the servers for their versions.
        """
        async with self._connection() as admin:
            await admin.execute(f"CREATE DATABASE {TEMPLATE}")
            postgresql = await admin.fetchval("SHOW server_version")
        if application is None:
            await create_catalogue(self._server.dsn_at(HOST, self._server.port, database=TEMPLATE))
        else:
            await prepare_database(application, replace(self._server, database=TEMPLATE), self._logs / "prepare.log")
        toxiproxy = await asyncio.to_thread(self._toxiproxy.version)
        self._versions = {"postgresql": f"{postgresql} (container)", "toxiproxy": f"{toxiproxy} (container)", **poolers}

    async def read(self, containers: Child) -> None:
        """Tells the computes of the connections that Toxiproxy accepts, until the containers' process ends."""
        async for record in containers.records():
            assert isinstance(record, ProxyReported)
            event = record.event
            if event.proxy in self._computes:
                self._computes[event.proxy].attempted(event.at_s)
            self.events.take(event)

    @asynccontextmanager
    async def database(self, trial: Trial) -> AsyncIterator[SleepingDatabase]:
        name = f"trial-{trial.number}"
        database = f"trial_{trial.number}"
        container_port = self._free_ports.pop()
        async with AsyncExitStack() as stack:
            stack.callback(self._free_ports.append, container_port)
            admin = await stack.enter_async_context(self._connection())
            # A database for each trial, so that its sessions can be told from those of other trials.
            await admin.execute(f"CREATE DATABASE {database} TEMPLATE {TEMPLATE}")
            await asyncio.to_thread(self._toxiproxy.create, name, upstream=UPSTREAM, listen=f"0.0.0.0:{container_port}")
            tidied(stack, partial(asyncio.to_thread, self._toxiproxy.remove, name))
            suspend: Callable[[], Awaitable[None]] = _nothing
            outage: Callable[[Outage], Awaitable[None]] = _no_outage
            if trial.wake is not None and (trial.wake.can_sleep or outages(trial)):
                sessions = DatabaseSessions(admin, database, self._signal)
                stack.push_async_callback(sessions.thaw)
                behaviour = trial.wake.behaviour(suspends_by_itself=False)
                compute = ToxiproxyCompute(
                    self._toxiproxy,
                    name,
                    ComputeSettings(behaviour, tuple(trial.wake_latencies_s())),
                    report=self.events.take,
                    sessions=sessions,
                )
                stack.callback(compute.stop)
                self._computes[name] = compute
                stack.callback(self._computes.pop, name)
                await stack.enter_async_context(beside(compute.watch()))
                suspend, outage = compute.suspend, compute.outage
            server = await as_limited(self._server, trial, _limits(trial), database=database)
            server = replace(server, host=HOST, port=self._published_ports[container_port], database=database)
            server = await stack.enter_async_context(pooled(server, trial, self._logs))
            yield SleepingDatabase(
                server=server,
                proxy=name,
                suspend=suspend,
                slow=partial(self._slow, name),
                outage=outage,
                lose=_no_loss,
                vitals=self._vitals,
                answerable=self._containers.answerable,
            )

    async def _slow(self, proxy: str, round_trip_s: float) -> None:
        if round_trip_s == 0:
            await asyncio.to_thread(self._toxiproxy.remove_toxic, proxy, SLOW)
            return
        toxic = slow_toxic(round_trip_s)
        kind, attributes = toxic["type"], toxic["attributes"]
        await asyncio.to_thread(
            self._toxiproxy.add_toxic, proxy, SLOW, type_=kind, stream=toxic["stream"], attributes=attributes
        )

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
        """One that does not go through Toxiproxy."""
        async with administering(self._server.dsn) as connection:
            yield connection

    def _signal(self, name: str, pids: Sequence[int]) -> None:
        command = ["sh", "-c", f"kill -{name} {' '.join(map(str, pids))}"]
        result = engine().containers.get(self._container).exec_run(command)
        if result.exit_code != 0:
            raise StackError("postgres", f"can't send {name} to its sessions: {result.output.decode().strip()}")


def _limits(trial: Trial) -> ServerLimits:
    """Every trial is on the same server here: a limit of all connections is one of the trial's role."""
    limits, most = trial.story.server, trial.story.max_connections
    both = [limit for limit in (limits.role_connection_limit, most) if limit is not None]
    return replace(limits, role_connection_limit=min(both, default=None))


async def _nothing() -> None:
    """What never sleeps is never suspended: there is no compute to do it."""


async def _no_loss(_: ConnectionLoss) -> None:
    """`check` has refused a story with one; a control has none."""


async def _no_outage(_: Outage) -> None:
    """Of a control: the player asks for none."""


def outages(trial: Trial) -> list[Outage]:
    return [phase for phase in trial.story.phases if isinstance(phase, Outage)]
