"""What is known, in the application's process, of a request that failed: the outcome and the error's name."""

from contextvars import ContextVar
from dataclasses import dataclass

from sqlalchemy import Dialect
from sqlalchemy.exc import DBAPIError

from harness.model.driver import URL_DRIVERS, Driver
from harness.model.outcomes import Outcome, Phase
from harness.service.classify import ClassifyingDriver, classify, driver_exception
from harness.service.drivers import driver_named
from harness.service.drivers.base import QUERY_CANCELED, is_lost

LONGEST_CHAIN = 20
"""Exceptions are followed so far, from each to the one that it was raised from."""


@dataclass(slots=True)
class Verdict:
    """Of one request: the last failure of its database that was seen, handled by the application or not."""

    outcome: Outcome | None = None
    """None: nothing failed."""
    error: str = ""
    _noted: BaseException | None = None

    def failed(self, exception: BaseException, phase: Phase, driver: ClassifyingDriver) -> None:
        """The database failed this request in this way."""
        self.outcome = classify(exception, phase, driver)
        self.error = type(driver_exception(exception)).__name__
        self._noted = exception

    def raised(self, exception: BaseException) -> None:
        """The application raised this: an error of its own, unless it comes from what the database did."""
        if self._noted is not None and self._noted in _chain(exception):
            return
        self.outcome, self.error, self._noted = Outcome.ERROR, type(exception).__name__, exception


VERDICT: ContextVar[Verdict | None] = ContextVar("coldstart_verdict", default=None)
"""Of the request that is running in this task or thread."""


def driver_of(dialect: Dialect) -> ClassifyingDriver:
    """What an engine's dialect runs on."""
    name = URL_DRIVERS.get(dialect.driver)
    return OtherDriver() if name is None else driver_named(Driver(name))


class OtherDriver:
    """A driver that this project knows nothing of, such as psycopg2: by SQLAlchemy's own words and the SQLSTATE."""

    def outcome(self, cause: BaseException, phase: Phase, *, invalidated: bool) -> Outcome:
        """As `DatabaseDriver.outcome`."""
        sqlstate = getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)
        if phase is Phase.CONNECT:
            late = isinstance(cause, TimeoutError) or "timeout" in str(cause).lower()
            return Outcome.CONNECT_TIMEOUT if late else Outcome.CONNECT_ERROR
        if sqlstate == QUERY_CANCELED or isinstance(cause, TimeoutError):
            return Outcome.STATEMENT_TIMEOUT
        lost = invalidated or is_lost(sqlstate) or isinstance(cause, OSError)
        return Outcome.CONNECTION_LOST if lost else Outcome.ERROR


def _chain(exception: BaseException) -> list[BaseException]:
    """The exception and those that it was raised from, SQLAlchemy's wrapping and what is inside it included."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [exception]
    while waiting and len(chain) < LONGEST_CHAIN:
        one = waiting.pop()
        if one is None or any(one is other for other in chain):
            continue
        chain.append(one)
        waiting += [one.__context__, one.__cause__]
        if isinstance(one, DBAPIError):
            waiting.append(one.orig)
        if isinstance(one, BaseExceptionGroup):
            waiting += one.exceptions
    return chain
