"""Of a failed request: the database's failure, unless the application raised something that does not come from it."""

import asyncpg
import pytest
import sqlalchemy.exc

from harness.guest.verdict import OtherDriver, Verdict, driver_of
from harness.model.outcomes import Outcome, Phase
from harness.service.drivers.asyncpg_driver import AsyncpgDriver
from harness.service.drivers.psycopg_driver import PsycopgDriver

EXHAUSTED = sqlalchemy.exc.TimeoutError("QueuePool limit", code="3o7r")


def noted() -> Verdict:
    verdict = Verdict()
    verdict.failed(EXHAUSTED, Phase.CHECKOUT, AsyncpgDriver())
    return verdict


def said(verdict: Verdict) -> tuple[Outcome | None, str]:
    return verdict.outcome, verdict.error


def raised_from(cause: BaseException) -> BaseException:
    error = LookupError("no session")
    error.__cause__ = cause
    return error


def raised_while(handling: BaseException) -> BaseException:
    try:
        try:
            raise handling
        except type(handling):
            raise LookupError("no session")  # noqa: B904 - what a careless application does
    except LookupError as error:
        return error


def test_nothing_failed_until_something_did() -> None:
    assert said(Verdict()) == (None, "")
    assert said(noted()) == (Outcome.POOL_TIMEOUT, "TimeoutError")


@pytest.mark.parametrize(
    "exception",
    [
        EXHAUSTED,
        raised_from(EXHAUSTED),
        raised_while(EXHAUSTED),
        raised_from(raised_while(raised_from(EXHAUSTED))),
        ExceptionGroup("of a task group", [ValueError("another"), raised_from(EXHAUSTED)]),
        sqlalchemy.exc.DBAPIError("SELECT 1", {}, EXHAUSTED),
    ],
    ids=["itself", "from", "while", "in three steps", "in a group", "wrapped"],
)
def test_what_comes_from_the_databases_failure_is_that_failure(exception: BaseException) -> None:
    verdict = noted()
    verdict.raised(exception)
    assert said(verdict) == (Outcome.POOL_TIMEOUT, "TimeoutError")


def test_what_does_not_come_from_it_is_the_applications_own_error() -> None:
    verdict = noted()
    verdict.raised(KeyError("item"))
    assert said(verdict) == (Outcome.ERROR, "KeyError")
    # Its own error, raised on from there, stays its own.
    verdict.failed(asyncpg.QueryCanceledError("too slow"), Phase.QUERY, AsyncpgDriver())
    assert said(verdict) == (Outcome.STATEMENT_TIMEOUT, "QueryCanceledError")


def test_a_circle_of_causes_ends() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one
    verdict = noted()
    verdict.raised(one)
    assert said(verdict) == (Outcome.ERROR, "ValueError")


def test_a_driver_is_known_by_its_dialect() -> None:
    from sqlalchemy.dialects.postgresql import asyncpg as of_asyncpg
    from sqlalchemy.dialects.postgresql import psycopg, psycopg2

    assert isinstance(driver_of(of_asyncpg.dialect()), AsyncpgDriver)
    assert isinstance(driver_of(psycopg.dialect()), PsycopgDriver)
    assert isinstance(driver_of(psycopg2.dialect()), OtherDriver)


class OfPsycopg2(Exception):  # noqa: N818 - as psycopg2 names them
    def __init__(self, pgcode: str | None, text: str = "") -> None:
        super().__init__(text)
        self.pgcode = pgcode


@pytest.mark.parametrize(
    ("cause", "phase", "invalidated", "outcome"),
    [
        (OfPsycopg2(None, "connection refused"), Phase.CONNECT, False, Outcome.CONNECT_ERROR),
        (OfPsycopg2("53300"), Phase.CONNECT, False, Outcome.CONNECT_ERROR),
        (OfPsycopg2(None, "timeout expired"), Phase.CONNECT, False, Outcome.CONNECT_TIMEOUT),
        (TimeoutError(), Phase.CONNECT, False, Outcome.CONNECT_TIMEOUT),
        (OfPsycopg2("57014"), Phase.QUERY, False, Outcome.STATEMENT_TIMEOUT),
        (OfPsycopg2("57P01"), Phase.QUERY, False, Outcome.CONNECTION_LOST),
        (OfPsycopg2(None), Phase.QUERY, True, Outcome.CONNECTION_LOST),
        (ConnectionResetError(), Phase.QUERY, False, Outcome.CONNECTION_LOST),
        (OfPsycopg2("23505"), Phase.QUERY, False, Outcome.ERROR),
    ],
)
def test_a_driver_that_is_not_known_is_judged_by_the_sqlstate(
    cause: BaseException, phase: Phase, invalidated: bool, outcome: Outcome
) -> None:
    assert OtherDriver().outcome(cause, phase, invalidated=invalidated) is outcome
