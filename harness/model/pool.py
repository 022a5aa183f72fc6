"""A pool configuration: the settings of one pool, of whichever library, and of the connections in it.

The names and defaults are those of the reference service; `coldstart list settings` shows them. In code every
duration carries its unit (`pool_timeout_s`); in JSON, in `--set` and in the environment the setting has its own name
(`pool_timeout`, `DATABASE_POOL_TIMEOUT`), always in seconds.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from harness.model.driver import Driver, driver_of_url
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, check_number, check_title, check_whole, quoted
from harness.model.pool_library import LibraryDefaults, PoolLibrary, check_library

# Python refuses to read a number of more than 4,300 digits, with an error of its own.
SHORT_FORM = re.compile(r"(\d{1,300})\+(\d{1,300})", re.ASCII)
SHORT_FORM_ALLOWED = (
    f"pool_size+max_overflow, for example 10+5, with at least one connection and up to {MAX_CONNECTIONS}"
)
NOT_A_SETTING = "not a setting"
ENVIRONMENT_PREFIX = "DATABASE_"
URL_VARIABLE = "DATABASE_URL"
SQLALCHEMY_POOL_TIMEOUT_S = 30.0
"""SQLAlchemy's own default, for a configuration with neither timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolConfiguration:
    """One pool. Durations in seconds; 0 for a timeout means none, except for `pool_timeout_s`.

    With `pool_timeout_s` None the pool's timeout is `connection_timeout_s`, as in the reference service; with
    `statement_timeout_s` None it is what its driver can do, and every other None is the library's own (`of_library`).
    `queue_timeout_s`, `client_statement_timeout_s` and the fields of `of_library` hold in either case. Two
    configurations of the same pool are not equal when one of these is None in one of them; compare them by `resolved`.
    Raises `UserError` on construction when a value is out of range, or when the library or the driver would change or
    ignore it.
    """

    pool_size: int = 10
    max_overflow: int = 5
    pool_library: PoolLibrary = PoolLibrary.SQLALCHEMY
    driver: Driver | None = None
    pool_timeout_s: float | None = None
    connection_timeout_s: float = 10.0
    statement_timeout_s: float | None = None
    pool_recycle_s: float | None = None
    pool_pre_ping: bool | None = None
    use_lifo: bool | None = None
    max_idle_s: float | None = None
    reconnect_timeout_s: float | None = None
    server_statement_timeout_s: float = 0.0
    """PostgreSQL's own `statement_timeout`, in addition to the driver's: the server itself ends the statement."""
    name: str = field(default="", metadata={NOT_A_SETTING: True})
    """As people call it: `the fix`. Empty: by its settings. It is no part of `resolved`, so it decides nothing."""

    def __post_init__(self) -> None:
        _check_name(self.name)
        for name in ("pool_size", "max_overflow"):
            check_whole(name, getattr(self, name), where="pool", most=MAX_CONNECTIONS)
        # SQLAlchemy reads pool_size=0 as "no limit": a pool that can't be exhausted is not a pool to compare.
        if self.pool_size == 0:
            raise UserError("pool_size must be at least 1, got 0", where="pool", allowed=SHORT_FORM_ALLOWED)
        check_whole("pool_size + max_overflow", self.capacity, where="pool", most=MAX_CONNECTIONS)
        for name in ("pool_pre_ping", "use_lifo"):
            if not isinstance(getattr(self, name), bool | None):
                raise UserError(f"{name} must be true or false, got {getattr(self, name)!r}", where="pool")
        if not isinstance(self.pool_library, PoolLibrary):
            raise UserError(f"no pool library {self.pool_library!r}", where="pool", allowed=", ".join(PoolLibrary))
        if not isinstance(self.driver, Driver | None):
            raise UserError(f"no driver {self.driver!r}", where="pool", allowed=", ".join(Driver))
        where = f"pool {self.short}"
        for name in (
            "connection_timeout_s",
            "statement_timeout_s",
            "pool_recycle_s",
            "max_idle_s",
            "reconnect_timeout_s",
            "server_statement_timeout_s",
        ):
            setting, value = name.removesuffix("_s"), getattr(self, name)
            if value is not None or name in ("connection_timeout_s", "server_statement_timeout_s"):
                check_number(setting, value, where=where, or_zero="0 (none)")
        if self.pool_timeout_s is not None:
            check_number("pool_timeout", self.pool_timeout_s, where=where, above_least=True)
        check_library(self.pool_library, self.of_library, where=where)
        self.runs_on.check_timeouts(
            connection_timeout_s=self.connection_timeout_s,
            statement_timeout_s=self.client_statement_timeout_s,
            where=where,
        )

    @property
    def short(self) -> str:
        """`pool_size+max_overflow`, for example `10+5`."""
        return f"{self.pool_size}+{self.max_overflow}"

    @property
    def capacity(self) -> int:
        """The most connections one service instance can have checked out."""
        return self.pool_size + self.max_overflow

    @property
    def of_library(self) -> LibraryDefaults:
        """The settings that depend on the library: as given here, otherwise its defaults."""
        given = {
            of_library.name: getattr(self, of_library.name)
            for of_library in fields(LibraryDefaults)
            if getattr(self, of_library.name) is not None
        }
        return replace(self.pool_library.defaults, **given)

    @property
    def runs_on(self) -> Driver:
        """The driver of its connections: `driver`, or the library's own instead of None."""
        return self.of_library.driver

    @property
    def most_idle(self) -> int:
        """The most connections that stay open while nobody uses them."""
        return self.capacity if self.pool_library.fills_itself else self.pool_size

    @property
    def queue_timeout_s(self) -> float:
        """How long a request waits in the pool's queue: `pool_timeout_s`, or what is used instead of None."""
        if self.pool_timeout_s is not None:
            return self.pool_timeout_s
        return self.connection_timeout_s or SQLALCHEMY_POOL_TIMEOUT_S

    @property
    def client_statement_timeout_s(self) -> float:
        """How long the driver itself gives a statement: `statement_timeout_s`, or what is used instead of None."""
        return self.runs_on.statement_timeout_s if self.statement_timeout_s is None else self.statement_timeout_s

    @property
    def connection_limit_s(self) -> float:
        """How long connecting can take; 0: no limit. With psycopg for each address, with asyncpg for all together."""
        return self.runs_on.connection_limit_s(self.connection_timeout_s)

    @property
    def acquire_limit_s(self) -> float | None:
        """The limit for waiting and connecting together, where it ends no later than connecting's own; None: none."""
        limit_s = self.queue_timeout_s
        is_shorter = not self.connection_limit_s or limit_s <= self.connection_limit_s
        return limit_s if self.pool_library is PoolLibrary.ASYNCPG and is_shorter else None

    @property
    def resolved(self) -> Self:
        """The configuration with a value for every setting and no name; equal for configurations of the same pool."""
        of_library = self.of_library
        return replace(
            self,
            pool_timeout_s=self.queue_timeout_s,
            statement_timeout_s=self.client_statement_timeout_s,
            name="",
            **{default.name: getattr(of_library, default.name) for default in fields(LibraryDefaults)},
        )

    @property
    def called(self) -> str:
        """Its name, or without one its label."""
        return self.name or self.label

    @property
    def label(self) -> str:
        """The short form, and the settings that differ from the library's and the driver's defaults.

        For example `5+0 driver=psycopg`, or `5+0 pool_library=psycopg_pool`.
        """
        return " ".join([self.short, *(f"{name}={value}" for name, value in self._differing.items())])

    @property
    def beyond_defaults(self) -> dict[str, str]:
        """The settings that differ from the defaults, by name, as text: what has to be set to have this pool."""
        default = PoolConfiguration()
        sizes = {"pool_size": self.pool_size, "max_overflow": self.max_overflow}
        return {
            **{name: str(value) for name, value in sizes.items() if value != getattr(default, name)},
            **self._differing,
        }

    @property
    def _differing(self) -> dict[str, str]:
        """The settings besides the size that differ from the library's and the driver's defaults."""
        alike = PoolConfiguration(
            pool_size=self.pool_size,
            max_overflow=self.max_overflow,
            pool_library=self.pool_library,
            driver=self.driver,
        )
        implied = {"pool_library": PoolLibrary.SQLALCHEMY, "driver": self.pool_library.defaults.driver}
        default = {**alike.to_json(), **implied}
        if self.queue_timeout_s == self.connection_timeout_s:
            # Equal to connection_timeout, which is in the label if it differs from its default.
            default["pool_timeout"] = self.queue_timeout_s
        return {name: _plain(value) for name, value in self.to_json().items() if value != default[name]}

    def to_json(self) -> dict[str, Any]:
        """The settings under their own names, durations in seconds; no timeout is None."""
        resolved = self.resolved
        values = {name: getattr(resolved, field_name) for name, (field_name, _) in SETTINGS.items()}
        return {name: str(value) if isinstance(value, StrEnum) else value for name, value in values.items()}

    def to_environment(self) -> dict[str, str]:
        """The settings as the `DATABASE_*` variables that the service reads."""
        return {ENVIRONMENT_PREFIX + name.upper(): _plain(value) for name, value in self.to_json().items()}

    def with_settings(self, settings: Mapping[str, str], *, where: str = "--set") -> Self:
        """This configuration with some settings replaced, values given as text.

        `pool_timeout` goes on following `connection_timeout`, `statement_timeout` the driver, and the driver and others
        the library, unless it is set here or was set before. Other settings than its own have no name.
        """
        changes: dict[str, Any] = {}
        for name, text in settings.items():
            if name not in SETTINGS:
                raise UserError(f"no setting {name!r}", where=where, allowed=", ".join(SETTINGS))
            field_name, read = SETTINGS[name]
            try:
                changes[field_name] = read(text)
            except ValueError:
                raise UserError(f"{name}={text!r} is not {_READS[read]}", where=where) from None
        changed = replace(self, **changes)
        return changed if changed.resolved == self.resolved else replace(changed, name="")

    def named(self, name: str) -> Self:
        """The same pool under a name, which tables, charts and sentences then use. Raises `UserError`."""
        check_title(name, where="a pool's name")
        return replace(self, name=name)

    def accepts(self, settings: Mapping[str, str]) -> bool:
        """Whether the configuration can have these settings: a driver can't do everything."""
        try:
            self.with_settings(settings)
        except UserError:
            return False
        return True

    @classmethod
    def from_short(cls, text: str, *, where: str = "--pool") -> Self:
        """Read `10+5`; the other settings keep their defaults."""
        match = SHORT_FORM.fullmatch(text.strip())
        if match is None:
            raise UserError(f"{text!r} is not a pool", where=where, allowed=SHORT_FORM_ALLOWED)
        pool_size, max_overflow = (int(group) for group in match.groups())
        if pool_size == 0:
            raise UserError(f"{text!r} has pool_size 0", where=where, allowed=SHORT_FORM_ALLOWED)
        return cls(pool_size=pool_size, max_overflow=max_overflow)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the `DATABASE_*` variables that are settings of a pool; others are ignored.

        Without DATABASE_DRIVER the driver is the one that DATABASE_URL names.
        """
        given = {
            name: environment[variable]
            for name in SETTINGS
            if (variable := ENVIRONMENT_PREFIX + name.upper()) in environment
        }
        if "driver" not in given and (driver := driver_of_url(environment.get(URL_VARIABLE, ""), where=URL_VARIABLE)):
            given["driver"] = driver
        return cls().with_settings(given, where="environment")


def _check_name(name: object) -> None:
    if name == "":
        return
    check_title(name, where="a pool's name")
    # By this names are told from labels, and none is another pool's label.
    if SHORT_FORM.match(str(name)):
        raise UserError(f"{quoted(str(name))} begins like a pool", where="a pool's name", allowed="other words first")


def _plain(value: float | bool | int) -> str:
    return (
        str(value).lower() if isinstance(value, bool) else f"{value:.12g}" if isinstance(value, float) else str(value)
    )


def _boolean(text: str) -> bool:
    try:
        return {
            "true": True,
            "1": True,
            "yes": True,
            "on": True,
            "false": False,
            "0": False,
            "no": False,
            "off": False,
        }[text.strip().lower()]
    except KeyError:
        raise ValueError(text) from None


def _seconds(text: str) -> float:
    value = float(text)
    # The configuration checks the limits and names the setting; nan is refused here.
    if math.isnan(value):
        raise ValueError(text)
    return value


_READS: dict[Any, str] = {
    int: "a whole number",
    _seconds: "a number of seconds",
    _boolean: "true or false",
    Driver: f"a driver: {' or '.join(Driver)}",
    PoolLibrary: f"a pool library: {', '.join(PoolLibrary)}",
}
_READERS: dict[Any, Any] = {
    int: int,
    float: _seconds,
    float | None: _seconds,
    bool | None: _boolean,
    Driver | None: Driver,
    PoolLibrary: PoolLibrary,
}
SETTINGS: dict[str, tuple[str, Any]] = {
    setting.name.removesuffix("_s"): (setting.name, _READERS[setting.type])
    for setting in fields(PoolConfiguration)
    if not setting.metadata.get(NOT_A_SETTING)
}
"""Every setting by name: its field, and the function that reads its text."""

before_change = PoolConfiguration(pool_size=5, max_overflow=0, pool_timeout_s=30.0)
"""The reference service's configuration before the incident of 2025-12-02."""

after_change = PoolConfiguration()
"""Its configuration since then: 10+5, every timeout 10 s."""

before_change_psycopg = PoolConfiguration(
    pool_size=5,
    max_overflow=0,
    driver=Driver.PSYCOPG,
    connection_timeout_s=0.0,
    pool_timeout_s=SQLALCHEMY_POOL_TIMEOUT_S,
)
"""The configuration before the incident as the reference service's own code applies it to psycopg.

It sets the timeouts `if "asyncpg" in url` only, so what holds is SQLAlchemy's queue and psycopg's own 130 s an address.
"""

after_change_psycopg = replace(before_change_psycopg, pool_size=10, max_overflow=5)
"""The configuration since then as the reference service's own code applies it to psycopg: none of its timeouts."""

MEANINGS: dict[str, str] = {
    "pool_size": "connections the pool keeps: asyncpg's and psycopg_pool's min_size, which they open by themselves",
    "max_overflow": "connections beyond pool_size that it makes on demand; SQLAlchemy closes them when they come back, "
    "the others after max_idle (pool_size + max_overflow is their max_size)",
    "pool_library": "whose pool it is: sqlalchemy, asyncpg (asyncpg's own) or psycopg_pool; the last two imply driver",
    "driver": "the library that makes the connections: asyncpg, or psycopg (psycopg 3)",
    "pool_timeout": "seconds a request waits in the pool's queue; follows connection_timeout unless set. With "
    "asyncpg's pool the whole acquire: the wait and connecting together",
    "connection_timeout": "seconds for one new connection. asyncpg: DNS, every address, authentication (0: none); "
    "psycopg: each address of the host, in whole seconds, at least 2 (0: its own 130 s)",
    "statement_timeout": "seconds asyncpg gives one statement, the pre-ping included (0: none); psycopg has no such "
    "timeout: 0, and what is left is server_statement_timeout",
    "pool_recycle": "seconds after which a connection is replaced at its next checkout (0: never). psycopg_pool's "
    "max_lifetime: as it comes back; asyncpg's pool has none: 0",
    "pool_pre_ping": "whether a connection is tried before each use. psycopg_pool's check; asyncpg's pool has none: "
    "false",
    "use_lifo": "whether the connection used last is given out first. asyncpg's pool always does, psycopg_pool never",
    "max_idle": "seconds after which asyncpg's pool (300; 0: never) and psycopg_pool (600) close an idle connection "
    "above pool_size; SQLAlchemy has no such setting: 0",
    "reconnect_timeout": "seconds after which psycopg_pool (300) gives up a connection that it can't make; the others "
    "have no such setting: 0",
    "server_statement_timeout": "seconds after which PostgreSQL itself ends a statement (0: never)",
}
"""The meaning of every setting, as shown to users."""
