"""The application's engines of SQLAlchemy that lead to the trial's database: their pools' settings, and what they tell.

An engine is given its settings as arguments when the application makes it, unless the application reads them from
variables of its own. SQLAlchemy's code is not changed: `create_engine` is called with more arguments, and a checkout's
beginning, for which SQLAlchemy has no event, is seen by a wrapper around `Pool.connect`.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy
import sqlalchemy.engine.create
import sqlalchemy.ext.asyncio.engine
from sqlalchemy import URL, Engine, ExceptionContext, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool, QueuePool

from harness.guest.early import EarlyImport, replace_create_engine
from harness.guest.orders import Orders
from harness.guest.verdict import VERDICT, driver_of
from harness.model.errors import UserError
from harness.service.drivers.base import observed_ping
from harness.service.observation import PoolWatch
from harness.service.pools.engine_watch import EngineWatch
from harness.service.pools.sqlalchemy_pool import NEVER_RECYCLE
from harness.service.trace import TRACE
from harness.service.warming import warm_at_once, warm_by_age

TRY = text("SELECT 1")
WITHOUT_TLS = (None, "disable", "allow", "prefer")
WHOLE_SECONDS = frozenset({"psycopg", "psycopg_async", "psycopg2"})
"""Dialects whose connect_timeout is libpq's: whole seconds."""


class Engines:
    """Every engine of the application whose URL leads to the trial's database."""

    def __init__(self, orders: Orders, watch: PoolWatch, *, now_s: Callable[[], float | None]) -> None:
        self._orders = orders
        self._pool = orders.pool
        self._watch = watch
        self._now_s = now_s
        self._engines: list[Engine] = []
        """Those with the trial's pool."""
        self._others: list[tuple[str, str]] = []
        """How the pools of others differ: an application may have one of its own for something else."""
        self._of_pools: dict[int, EngineWatch] = {}
        self.watched = asyncio.Event()
        """Set once there is a pool to sample."""
        self.checked_out: Callable[[], None] = lambda: None
        """Called by a request that has a connection now, in the greenlet that checked it out."""
        self.connected: Callable[[], None] = lambda: None
        """Called in the same greenlet when a connection has been made."""
        self.given_back: Callable[[], None] = lambda: None
        """Called when a connection has been given back."""
        self.executed: Callable[[], None] = lambda: None
        """Called in the greenlet of a request whose statement has been answered."""
        self.threads: ThreadPoolExecutor | None = None

    def take_part(self, early: EarlyImport | None = None) -> None:
        """From now on every engine that is made is seen, and those that an early import has made are taken over."""
        create = sqlalchemy.engine.create.create_engine if early is None else early.create

        @functools.wraps(create)
        def create_engine(url: str | URL, **options: Any) -> Engine:  # noqa: ANN401 - SQLAlchemy's own
            address = make_url(url)
            if not self._leads_here(address):
                return create(url, **options)
            engine = create(url, **self._with_settings(address, options))
            self._see(engine)
            return engine

        replace_create_engine(create_engine)
        if early is not None:
            early.later = create_engine
            for engine, address in early.engines:
                if self._leads_here(address):
                    self._take_over(engine)
        connect = Pool.connect
        watches = self._of_pools
        watch = self._watch

        @functools.wraps(connect)
        def observed(pool: Pool) -> Any:  # noqa: ANN401 - SQLAlchemy's own
            if not _is_seen(pool, watches):
                return connect(pool)
            watch.checkout_began()
            try:
                connection = connect(pool)
            except Exception as exception:
                self._note(exception, pool._dialect)  # noqa: SLF001 - the one place that names a pool's driver
                raise
            finally:
                watch.checkout_ended()
            self.checked_out()
            return connection

        pools: Any = Pool
        pools.connect = observed

    def check(self) -> None:
        """Raises `UserError` where no engine's pool has the trial's settings, or there is no engine."""
        if self._engines:
            return
        where = f"application {self._orders.app}"
        if not self._others:
            raise UserError(
                "it has made no engine of SQLAlchemy whose URL leads to the trial's database",
                where=where,
                allowed="--env url=VARIABLE for the variable that it reads",
            )
        what, allowed = self._others[0]
        raise UserError(what, where=where, allowed=allowed)

    def check_unless_lazy(self) -> None:
        """The same, but an application that has made no engine yet may make it with its first request."""
        if self._others:
            self.check()

    def sees(self, engine: Engine) -> bool:
        """Whether this engine is watched already."""
        return id(engine.dialect) in self._of_pools

    def _unlike(self, engine: Engine) -> tuple[str, str] | None:
        """How an engine's pool differs from the trial's, and what is allowed; None: it does not."""
        pool = engine.pool
        if self._orders.in_virtual_time and not engine.dialect.is_async:
            return (
                f"its engine is synchronous ({engine.dialect.driver}) and goes around the loop",
                "create_async_engine",
            )
        if not isinstance(pool, QueuePool):
            return f"its engine has a {type(pool).__name__}, which no setting reaches", "a QueuePool"
        found = {
            "pool_size": pool.size(),
            "max_overflow": pool._max_overflow,  # noqa: SLF001 - SQLAlchemy tells it nowhere else
            "pool_timeout": float(pool.timeout()),
            "pool_recycle": float(max(0, pool._recycle)),  # noqa: SLF001 - likewise; -1 is never
            "pool_pre_ping": float(pool._pre_ping),  # noqa: SLF001 - likewise
        }
        asked = {
            "pool_size": self._pool.pool_size,
            "max_overflow": self._pool.max_overflow,
            "pool_timeout": self._pool.queue_timeout_s,
            "pool_recycle": self._pool.of_library.pool_recycle_s,
            "pool_pre_ping": float(self._pool.of_library.pool_pre_ping),
        }
        for name, value in found.items():
            if value != asked[name]:
                return (
                    f"its pool has {name} {value:g} and not {asked[name]:g}: the setting did not reach it",
                    f"--env {name}=VARIABLE for the variable that it reads, or none for {name}",
                )
        return None

    async def warm(self, ages_s: Sequence[float]) -> None:
        """Every engine's pool opens a connection for each age and uses it once. Raises what SQLAlchemy raises."""
        for engine in self._engines:
            check_out = functools.partial(self._tried, engine)
            if any(ages_s):
                await warm_by_age(check_out, ages_s, last_first=self._pool.of_library.use_lifo)
            else:
                await warm_at_once(check_out, len(ages_s))

    async def dispose(self) -> None:
        """Every engine gets a new, empty pool; what is checked out closes as it comes back."""
        for engine in self._engines:
            if engine.dialect.is_async:
                await AsyncEngine(engine).dispose()
            else:
                engine.dispose()

    @asynccontextmanager
    async def _tried(self, engine: Engine) -> AsyncIterator[None]:
        """A connection that was used once and is held."""
        if engine.dialect.is_async:
            async with AsyncEngine(engine).connect() as connection:
                async with connection.begin():
                    await connection.execute(TRY)
                yield
            return
        loop = asyncio.get_running_loop()
        if self.threads is None:
            self.threads = ThreadPoolExecutor(self._pool.capacity, thread_name_prefix="coldstart warming")

        def used() -> sqlalchemy.Connection:
            connection = engine.connect()
            with connection.begin():
                connection.execute(TRY)
            return connection

        held = await loop.run_in_executor(self.threads, used)
        try:
            yield
        finally:
            await loop.run_in_executor(self.threads, held.close)

    def _leads_here(self, url: URL) -> bool:
        if not url.drivername.startswith("postgresql"):
            return False
        host, port = url.host or url.query.get("host"), url.port or url.query.get("port") or 5432
        return host == self._orders.host and str(port) == str(self._orders.port)

    def _with_settings(self, url: URL, options: dict[str, Any]) -> dict[str, Any]:
        """The engine's arguments, with the pool's settings among them; those set elsewhere are left alone."""
        pool_class = options.get("poolclass")
        if "pool" in options or (pool_class is not None and not issubclass(pool_class, QueuePool)):
            # Told by `check`: what has no queue has no such settings either.
            return options
        given = self._of_pool()
        own = options.get("connect_args", {})
        connecting = {**own, **self._connecting(url, own)}
        self._check_tls(own)
        return {**options, **given, **({"connect_args": connecting} if connecting else {})}

    def _of_pool(self) -> dict[str, Any]:
        """The pool's settings as arguments of `create_engine`, without those that are set elsewhere."""
        pool = self._pool
        arguments: dict[str, tuple[str, Any]] = {
            "pool_size": ("pool_size", pool.pool_size),
            "max_overflow": ("max_overflow", pool.max_overflow),
            "pool_timeout": ("pool_timeout", pool.queue_timeout_s),
            "pool_recycle": ("pool_recycle", pool.of_library.pool_recycle_s or NEVER_RECYCLE),
            "pool_pre_ping": ("pool_pre_ping", pool.of_library.pool_pre_ping),
            "use_lifo": ("pool_use_lifo", pool.of_library.use_lifo),
        }
        return {
            name: value for setting, (name, value) in arguments.items() if setting not in self._orders.set_elsewhere
        }

    def _take_over(self, engine: Engine) -> None:
        """Give an engine that was made before the trial the trial's pool, as `Engine.dispose` gives it a new one."""
        before = engine.pool
        if isinstance(before, QueuePool):
            given = {
                name.removeprefix("pool_") if name != "pool_size" else name: value
                for name, value in self._of_pool().items()
            }
            engine.pool = type(before)(
                before._creator,  # noqa: SLF001 - as `recreate` does it, here and below
                **given,
                echo=before.echo,
                logging_name=before._orig_logging_name,  # noqa: SLF001
                reset_on_return=before._reset_on_return,  # noqa: SLF001
                _dispatch=before.dispatch,
                dialect=before._dialect,  # noqa: SLF001
            )
            self._connect_as_asked(engine)
        self._see(engine)

    def _connect_as_asked(self, engine: Engine) -> None:
        """Its connections' timeouts: the engine has its arguments already, so they are put in as it connects."""
        dialect: Any = engine.dialect
        connect, url = dialect.connect, engine.url

        @functools.wraps(connect)
        def connect_as_asked(*arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401 - the driver's own
            self._check_tls(parameters)
            return connect(*arguments, **{**parameters, **self._connecting(url, parameters)})

        dialect.connect = connect_as_asked

    def _check_tls(self, own: dict[str, Any]) -> None:
        """Raises `UserError` where an engine of virtual time asks for TLS."""
        if self._orders.in_virtual_time and (own.get("ssl") or own.get("sslmode") not in WITHOUT_TLS):
            raise UserError(
                "its engine asks for TLS, which the simulated database has not",
                where=f"application {self._orders.app}",
                allowed="no ssl and no sslmode among its connect_args, or sslmode=disable",
            )

    def _connecting(self, url: URL, own: dict[str, Any]) -> dict[str, Any]:
        """The connections' timeouts, as their driver takes them, beside the application's `own` arguments."""
        pool, elsewhere = self._pool, self._orders.set_elsewhere
        arguments: dict[str, Any] = {}
        driver = url.get_driver_name()
        if driver == "asyncpg":
            if "connection_timeout" not in elsewhere:
                arguments["timeout"] = pool.connection_timeout_s or None
            if "statement_timeout" not in elsewhere:
                arguments["command_timeout"] = pool.client_statement_timeout_s or None
        elif driver in WHOLE_SECONDS and "connection_timeout" not in elsewhere:
            arguments["connect_timeout"] = int(pool.connection_timeout_s)
        limit_ms = f"{pool.server_statement_timeout_s * 1000:.0f}"
        if limit_ms != "0" and "server_statement_timeout" not in elsewhere:
            if driver == "asyncpg":
                arguments["server_settings"] = {**own.get("server_settings", {}), "statement_timeout": limit_ms}
            else:
                arguments["options"] = f"{own.get('options', '')} -c statement_timeout={limit_ms}".strip()
        return arguments

    def _see(self, engine: Engine) -> None:
        if (unlike := self._unlike(engine)) is not None:
            self._others.append(unlike)
            return
        self._engines.append(engine)
        engine_watch = EngineWatch(engine, self._watch, now_s=self._now_s)
        self._watch.attach(engine_watch, self._pool)
        self._of_pools[id(engine.dialect)] = engine_watch
        self.watched.set()
        dialect: Any = engine.dialect
        connect, ping = dialect.connect, dialect.do_ping

        @functools.wraps(connect)
        def timed_connect(*arguments: Any, **parameters: Any) -> Any:  # noqa: ANN401 - the driver's own
            with engine_watch.connecting():
                connection = connect(*arguments, **parameters)
                self.connected()
                return connection

        @functools.wraps(ping)
        def timed_ping(connection: Any) -> Any:  # noqa: ANN401 - the driver's own
            with observed_ping():
                return ping(connection)

        # Of this one dialect object: an event, `do_connect`, would keep the application's own from being called.
        dialect.connect = timed_connect
        dialect.do_ping = timed_ping
        event.listen(engine, "handle_error", self._statement_failed)
        event.listen(engine, "after_cursor_execute", lambda *_: self.executed())
        event.listen(engine.pool, "checkout", _holds)
        event.listen(engine.pool, "checkin", _gives_back)
        event.listen(engine.pool, "checkin", lambda *_: self.given_back())

    def _statement_failed(self, context: ExceptionContext) -> None:
        if not context.is_pre_ping:
            self._note(context.sqlalchemy_exception or context.original_exception, context.dialect)

    def _note(self, exception: BaseException, dialect: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
        verdict, trace = VERDICT.get(), TRACE.get()
        if verdict is not None and trace is not None:
            verdict.failed(exception, trace.phase, driver_of(dialect))


TRACED = "coldstart_trace"


def _holds(_connection: Any, record: Any, _proxy: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
    record.record_info[TRACED] = TRACE.get()


def _gives_back(_connection: Any, record: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own
    # The trace of the request that checked it out: a background task may give it back.
    trace = record.record_info.pop(TRACED, None)
    if trace is not None:
        trace.checked_in()


def _is_seen(pool: Pool, watches: dict[int, EngineWatch]) -> bool:
    return id(pool._dialect) in watches  # noqa: SLF001 - the same for the pool that `dispose` makes
