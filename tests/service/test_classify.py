"""What an exception means, by its type, code and SQLSTATE; test_outcomes.py has them from real servers."""

import asyncpg
import pytest
import sqlalchemy.exc
from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi

from harness.model.outcomes import Outcome, Phase
from harness.service.classify import classify as classify_with
from harness.service.classify import driver_exception
from harness.service.drivers.asyncpg_driver import AsyncpgDriver


def classify(exception: BaseException, phase: Phase) -> Outcome:
    return classify_with(exception, phase, AsyncpgDriver())


def postgres_error(sqlstate: str) -> asyncpg.PostgresError:
    """As asyncpg makes it from an ErrorResponse."""
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": "text that nobody reads", "S": "FATAL", "V": "FATAL"})
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize(
    ("sqlstate", "name"),
    [
        # PostgreSQL, appendix A: what a server says as it ends a session, and class 08.
        ("57P01", "admin_shutdown"), ("57P02", "crash_shutdown"), ("57P05", "idle_session_timeout"),
        ("25P03", "idle_in_transaction_session_timeout"), ("08000", "connection_exception"),
        ("08003", "connection_does_not_exist"), ("08006", "connection_failure"),
        # All that PgBouncer says itself, as it ends a client's session.
        ("08P01", "protocol_violation"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("phase", [Phase.CHECKOUT, Phase.QUERY])
def test_what_a_server_says_as_it_ends_a_session_is_a_lost_connection(sqlstate: str, name: str, phase: Phase) -> None:
    assert classify(postgres_error(sqlstate), phase) is Outcome.CONNECTION_LOST, name


@pytest.mark.parametrize("sqlstate", ["57P01", "57P05", "25P03", "08006", "08P01", "57P03", "53300", "28P01"])
def test_the_same_in_answer_to_a_connection_attempt_is_a_connect_error(sqlstate: str) -> None:
    assert classify(postgres_error(sqlstate), Phase.CONNECT) is Outcome.CONNECT_ERROR


@pytest.mark.parametrize("sqlstate", ["25001", "25P02", "42P01", "23505", "40001", "57000", "26000", "42P05"])
def test_any_other_answer_to_a_statement_is_an_error(sqlstate: str) -> None:
    assert classify(postgres_error(sqlstate), Phase.QUERY) is Outcome.ERROR


def test_a_statement_that_the_server_cancelled_is_a_statement_timeout() -> None:
    assert classify(postgres_error("57014"), Phase.QUERY) is Outcome.STATEMENT_TIMEOUT


@pytest.mark.parametrize(
    ("phase", "outcome"),
    [
        (Phase.CONNECT, Outcome.CONNECT_TIMEOUT),
        (Phase.QUERY, Outcome.STATEMENT_TIMEOUT),
        (Phase.CHECKOUT, Outcome.CONNECTION_LOST),
    ],
)
def test_asyncpg_has_one_timeout_error_and_the_phase_says_which(phase: Phase, outcome: Outcome) -> None:
    assert classify(TimeoutError(), phase) is outcome


@pytest.mark.parametrize("phase", list(Phase))
def test_the_queues_timeout_is_known_by_its_code_whatever_the_phase(phase: Phase) -> None:
    assert classify(sqlalchemy.exc.TimeoutError("text", code="3o7r"), phase) is Outcome.POOL_TIMEOUT
    assert classify(sqlalchemy.exc.TimeoutError("text", code="xxxx"), phase) is not Outcome.POOL_TIMEOUT


@pytest.mark.parametrize("phase", list(Phase))
def test_a_programming_error_is_an_error_in_every_phase(phase: Phase) -> None:
    assert classify(KeyError("x"), phase) is Outcome.ERROR


def wrapped(error: Exception, *, invalidated: bool = False) -> sqlalchemy.exc.DBAPIError:
    """As SQLAlchemy hands on what asyncpg raised: in its dialect's own class, and that in its own."""
    twin = AsyncAdapt_asyncpg_dbapi.Error("twin", error)
    twin.__cause__ = error
    return sqlalchemy.exc.DBAPIError("SELECT 1", {}, twin, connection_invalidated=invalidated)


@pytest.mark.parametrize("error", [TimeoutError(), postgres_error("57P01"), ConnectionResetError()])
def test_what_sqlalchemy_wraps_is_found_below_its_wrapping(error: Exception) -> None:
    assert driver_exception(wrapped(error)) is error
    assert driver_exception(error) is error
    assert classify(wrapped(error), Phase.QUERY) is classify(error, Phase.QUERY)


def test_a_wrapping_without_a_cause_or_in_a_circle_ends_the_search() -> None:
    twin = AsyncAdapt_asyncpg_dbapi.Error("twin")
    assert driver_exception(twin) is twin
    other = AsyncAdapt_asyncpg_dbapi.Error("other")
    twin.__cause__, other.__cause__ = other, twin
    assert driver_exception(twin) is other
    outer = AsyncAdapt_asyncpg_dbapi.Error("outer")
    outer.__cause__ = twin
    assert driver_exception(outer) is other
    twin.__cause__ = twin
    assert driver_exception(twin) is twin


def test_a_connection_that_sqlalchemy_gave_up_is_lost_whatever_was_raised() -> None:
    assert classify(wrapped(KeyError("x"), invalidated=True), Phase.QUERY) is Outcome.CONNECTION_LOST
    assert classify(wrapped(KeyError("x")), Phase.QUERY) is Outcome.ERROR


def test_an_error_without_an_sqlstate_says_nothing_of_its_connection() -> None:
    assert classify(asyncpg.PostgresError("x"), Phase.QUERY) is Outcome.ERROR
