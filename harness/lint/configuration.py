"""A service's configuration as it is written, what of it really holds, and how a change of it is written down.

Three ways to write one: variables that are read as the reference service reads them (DATABASE_*), the variables of an
application of one's own (`--env`), and a pool in coldstart's own words (`--pool`). What is written and what holds
differ where a driver does not do what it is told: PoolConfiguration refuses such settings, and lint has to show them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Any, Self
from urllib.parse import parse_qsl

from harness.model.application import UNITS, Variable
from harness.model.driver import PSYCOPG_LEAST_CONNECT_TIMEOUT_S, Driver, driver_of_url
from harness.model.errors import UserError
from harness.model.limits import check_number, quoted
from harness.model.pool import (
    ENVIRONMENT_PREFIX,
    SETTINGS,
    SQLALCHEMY_POOL_TIMEOUT_S,
    URL_VARIABLE,
    PoolConfiguration,
)
from harness.model.pool_library import PoolLibrary

TIMEOUTS = ("connection_timeout", "pool_timeout", "statement_timeout")
"""What the reference service's code sets `if "asyncpg" in url` only."""
DIALECTS = ("postgresql", "postgres")
REFERENCE_VARIABLES = tuple(
    Variable(carries=carries, name=name)
    for carries, name in {
        "url": URL_VARIABLE,
        **{name: ENVIRONMENT_PREFIX + name.upper() for name in SETTINGS},
    }.items()
)
OWN_DEFAULTS = {"pool_size": "5", "max_overflow": "10", "pool_timeout": "30", "pool_recycle": "0",
                "pool_pre_ping": "false", "use_lifo": "false"}  # fmt: skip
"""SQLAlchemy's own, of an engine that is made without these arguments."""
OWN_CONNECTION_TIMEOUTS = {Driver.ASYNCPG: "60", Driver.PSYCOPG: "0"}
"""The drivers' own; psycopg's 0 is its 130 s an address."""
IN_CODE = {
    Driver.ASYNCPG: {"connection_timeout": "timeout", "statement_timeout": "command_timeout"},
    Driver.PSYCOPG: {"connection_timeout": "connect_timeout"},
}
"""Where no variable carries a setting: its name in SQLAlchemy's `connect_args`, by driver."""


class Manner(StrEnum):
    """Who reads the configuration, and so what of it holds."""

    REFERENCE = "reference"
    """The reference service's code: DATABASE_* variables, and its timeouts with asyncpg only."""
    APPLICATION = "application"
    """An application that applies whatever a variable of its own says; the libraries' defaults are its defaults."""
    POOL = "pool"
    """Nobody: the settings are a pool's, as coldstart itself plays it."""


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """What is written, by setting; durations in seconds. Raises `UserError` for what can't be a pool's."""

    source: str
    """Where it was read, in words: `.env`, `--pool 10+5`."""
    manner: Manner
    written: Mapping[str, str]
    variables: Sequence[Variable] = ()
    """By which a change is written down; none with `Manner.POOL`."""
    url_connect_timeout: str | None = None
    """`connect_timeout` of the URL's query, which libpq reads itself, whatever the code does."""

    def __post_init__(self) -> None:
        _ = self.pool

    @property
    def driver(self) -> Driver:
        """Of its connections."""
        if "driver" in self.written:
            return Driver(self.written["driver"])
        return PoolLibrary(self.written.get("pool_library", PoolLibrary.SQLALCHEMY)).defaults.driver

    @property
    def loses_its_timeouts(self) -> bool:
        """Whether its code sets the timeouts for another driver only."""
        return self.manner is Manner.REFERENCE and self.driver is Driver.PSYCOPG

    @cached_property
    def as_asked(self) -> PoolConfiguration:
        """The pool that the written settings ask for, as if asyncpg, which takes any timeout, were its driver."""
        asked = {name: text for name, text in self._complete.items() if name not in ("driver", "pool_library")}
        psycopg_only = ("max_idle", "reconnect_timeout")
        asked = {name: text for name, text in asked.items() if name not in psycopg_only}
        return PoolConfiguration().with_settings(asked, where=self.source)

    @cached_property
    def pool(self) -> PoolConfiguration:
        """The pool that the service really has."""
        settings = dict(self._complete)
        if self.loses_its_timeouts:
            settings |= {"connection_timeout": "0", "pool_timeout": f"{SQLALCHEMY_POOL_TIMEOUT_S:g}"}
            if self.url_connect_timeout is not None:
                settings["connection_timeout"] = self.url_connect_timeout
        if self.driver is Driver.PSYCOPG and self.manner is not Manner.POOL:
            # It has none, and what is written for it is without an effect: the rules say so.
            settings.pop("statement_timeout", None)
            settings["connection_timeout"] = f"{as_psycopg(settings.get('connection_timeout', '10'), self.source):g}"
        return PoolConfiguration().with_settings(settings, where=self.source)

    @property
    def label(self) -> str:
        """The pool that holds, in one line."""
        return self.pool.label

    @property
    def _complete(self) -> dict[str, str]:
        """What is written, and what the libraries are without it."""
        if self.manner is not Manner.APPLICATION:
            return dict(self.written)
        defaults = {**OWN_DEFAULTS, "connection_timeout": OWN_CONNECTION_TIMEOUTS[self.driver]}
        if self.driver is Driver.ASYNCPG:
            defaults["statement_timeout"] = "0"
        elif self.url_connect_timeout is not None:
            defaults["connection_timeout"] = self.url_connect_timeout
        return {**defaults, **self.written}

    def asked_s(self, setting: str) -> float:
        """What is asked for a timeout, in seconds; 0: none."""
        asked = self.as_asked.to_json()[setting]
        return float(asked)

    def with_changes(self, changes: Mapping[str, str]) -> Self:
        """With these settings written. Where its code sets a timeout with asyncpg only, the change brings asyncpg."""
        if self.loses_its_timeouts and set(changes) & set(TIMEOUTS):
            changes = {"driver": Driver.ASYNCPG.value, **changes}
        return replace(self, written={**self.written, **changes})

    def accepts(self, changes: Mapping[str, str]) -> bool:
        """Whether its library and its driver can do that."""
        try:
            self.with_changes(changes)
        except UserError:
            return False
        return True

    def lines(self, changes: Mapping[str, str]) -> list[str]:
        """A change as one types it: the variables' own names, or what stands in the code where none carries it."""
        if self.loses_its_timeouts and set(changes) & set(TIMEOUTS):
            changes = {"driver": Driver.ASYNCPG.value, **changes}
        return [self._line(setting, text) for setting, text in changes.items()]

    def _line(self, setting: str, text: str) -> str:
        if self.manner is Manner.POOL:
            return f"{setting}={text}"
        carrier = {variable.carries: variable for variable in self.variables}
        if setting == "driver":
            named = carrier.get("url")
            return f"{named.name}=postgresql+{text}://…" if named else f"postgresql+{text}://… in the code"
        if setting in carrier:
            variable = carrier[setting]
            is_number = setting not in ("pool_pre_ping", "use_lifo", "pool_library")
            return f"{variable.name}={variable.of(float(text)) if is_number else text}"
        driver = self.driver
        if setting in IN_CODE[driver]:
            return f'create_async_engine(connect_args={{"{IN_CODE[driver][setting]}": {text}}})'
        return f"create_async_engine({setting}={text.title() if setting == 'pool_pre_ping' else text})"


def as_psycopg(text: str, where: str) -> float:
    """What psycopg makes of a connect timeout (`psycopg.conninfo.timeout_from_conninfo`, 3.3.9); 0: its own 130 s."""
    try:
        seconds = float(text)
        check_number("connection_timeout", seconds, where=where, least=-1e9)
    except ValueError:
        raise UserError(f"connection_timeout={quoted(text)} is not a number of seconds", where=where) from None
    whole = int(seconds)
    return float(max(whole, PSYCOPG_LEAST_CONNECT_TIMEOUT_S)) if whole > 0 else 0.0


def of_pool(text: str, pool: PoolConfiguration) -> Configuration:
    """The configuration of a pool in coldstart's own words, as `--pool` had it."""
    given = {name: str(value).lower() if isinstance(value, bool) else f"{value}" for name, value in _given(pool)}
    return Configuration(source=f"--pool {text}", manner=Manner.POOL, written=given)


def _given(pool: PoolConfiguration) -> Iterable[tuple[str, Any]]:
    """The settings that are not left to the driver or the library: those go on following."""
    return (
        (name, getattr(pool, field_name)) for name, (field_name, _) in SETTINGS.items()
        if getattr(pool, field_name) is not None
    )  # fmt: skip


def of_variables(
    environment: Mapping[str, str],
    *,
    source: str,
    variables: Sequence[Variable] | None = None,
    settings: Mapping[str, str] | None = None,
) -> Configuration:
    """The configuration in an environment's variables: the reference service's, or `variables` of an application.

    `settings` are what the code sets by itself. Raises `UserError` for an environment that has none of the variables,
    and for what can't be a pool's.
    """
    named = REFERENCE_VARIABLES if variables is None else variables
    found = {variable.carries: variable for variable in named if environment.get(variable.name, "") != ""}
    if not found and not settings:
        shown = ", ".join(variable.name for variable in named[:4]) + (", …" if len(named) > 4 else "")
        raise UserError("has no setting of a pool", where=source, allowed=shown)
    written = {
        carries: _in_seconds(environment[variable.name], variable, source)
        for carries, variable in found.items() if carries in SETTINGS
    }  # fmt: skip
    url = environment[found["url"].name] if "url" in found else ""
    if url and "driver" not in written:
        written |= _driver_of(url, where=f"{source}, {found['url'].name}")
    written |= settings or {}
    made_of: dict[str, str] = {name: written[name] for name in ("driver", "pool_library") if name in written}
    PoolConfiguration().with_settings(made_of, where=source)
    # libpq reads the URL itself; asyncpg's `connect` has no such argument.
    limit = dict(parse_qsl(url.partition("?")[2])).get("connect_timeout")
    return Configuration(
        source=source,
        manner=Manner.REFERENCE if variables is None else Manner.APPLICATION,
        written=written,
        variables=tuple(named),
        url_connect_timeout=limit,
    )


def _in_seconds(text: str, variable: Variable, source: str) -> str:
    per_second = UNITS[variable.unit]
    if per_second == 1:
        return text
    try:
        return f"{float(text) / per_second:.12g}"
    except ValueError:
        where = f"{source}, {variable.name}"
        raise UserError(f"{quoted(text)} is not a number of {variable.unit}", where=where) from None


def _driver_of(url: str, *, where: str) -> dict[str, str]:
    """The driver that a URL names. No message has more of the URL than the name: it may have a password in it."""
    scheme, separator, _ = url.partition("://")
    dialect = scheme.partition("+")[0]
    if not separator or not scheme.replace("+", "").replace("_", "").isalnum():
        raise UserError("is not a URL", where=where, allowed="postgresql+asyncpg://…, postgresql+psycopg://…")
    if dialect not in DIALECTS:
        raise UserError(f"{dialect} is not PostgreSQL", where=where, allowed="postgresql+asyncpg, postgresql+psycopg")
    driver = driver_of_url(url, where=where)
    return {} if driver is None else {"driver": driver.value}
