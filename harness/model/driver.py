"""The client libraries that a pool's connections can be made with, and what each makes of a pool's timeouts.

Sources: asyncpg 0.32 (`connect_utils.py`); psycopg 3.3.9 (`conninfo.timeout_from_conninfo`, `_conninfo_attempts`).
docs/drivers.md has the measurements.
"""

from enum import StrEnum

from harness.model.errors import UserError
from harness.model.limits import LONGEST_S

PSYCOPG_LEAST_CONNECT_TIMEOUT_S = 2
PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S = 130
"""What psycopg uses instead of 0, or of no connect_timeout at all, for each address of the host."""
URL_DRIVERS = {"asyncpg": "asyncpg", "psycopg": "psycopg", "psycopg_async": "psycopg"}
"""SQLAlchemy's names of these drivers in a URL, and the drivers."""


class Driver(StrEnum):
    """The library that makes a pool's connections."""

    ASYNCPG = "asyncpg"
    PSYCOPG = "psycopg"
    """psycopg 3, on libpq."""

    @property
    def statement_timeout_s(self) -> float:
        """The statement_timeout of a configuration that doesn't set one, in seconds; 0: none."""
        return 10.0 if self is Driver.ASYNCPG else 0.0

    def connection_limit_s(self, connection_timeout_s: float) -> float:
        """How long a connection attempt on one address can take, for a pool's setting; 0: no limit.

        With asyncpg the limit covers all addresses together, with psycopg each one.
        """
        if self is Driver.PSYCOPG and connection_timeout_s == 0:
            return PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S
        return connection_timeout_s

    def check_timeouts(self, *, connection_timeout_s: float, statement_timeout_s: float, where: str) -> None:
        """Raise `UserError` for a timeout that the driver would change or ignore."""
        if self is Driver.ASYNCPG:
            return
        is_whole = float(connection_timeout_s).is_integer()
        if connection_timeout_s and not (is_whole and connection_timeout_s >= PSYCOPG_LEAST_CONNECT_TIMEOUT_S):
            raise UserError(
                f"connection_timeout must be whole seconds with driver=psycopg, got {connection_timeout_s:g}",
                where=where,
                allowed=f"{PSYCOPG_LEAST_CONNECT_TIMEOUT_S}, 3, … {LONGEST_S:.0f}, "
                f"or 0 (psycopg's own {PSYCOPG_DEFAULT_CONNECT_TIMEOUT_S} s)",
            )
        if statement_timeout_s:
            raise UserError(
                f"statement_timeout must be 0 with driver=psycopg, got {statement_timeout_s:g}: psycopg has no timeout "
                "of its own for a statement",
                where=where,
                allowed=f"0, and server_statement_timeout={statement_timeout_s:g} for PostgreSQL's own",
            )


def driver_of_url(url: str, *, where: str) -> Driver | None:
    """The driver that a URL such as `postgresql+psycopg://…` names; None: it names none.

    Raises `UserError` for another driver of PostgreSQL, because its name says that the service runs on that one.
    """
    dialect, plus, name = url.partition("://")[0].partition("+")
    if dialect != "postgresql" or not plus:
        return None
    if name not in URL_DRIVERS:
        raise UserError(f"no driver {name!r}", where=where, allowed=", ".join(map(str, Driver)))
    return Driver(URL_DRIVERS[name])
