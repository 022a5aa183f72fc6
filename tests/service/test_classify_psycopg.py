"""What an exception of psycopg means; test_outcomes_psycopg.py has them from real servers."""

import psycopg
import psycopg.errors
import pytest
import sqlalchemy.exc
from psycopg import errors

from harness.model.outcomes import Outcome, Phase
from harness.service.classify import classify
from harness.service.drivers.psycopg_driver import PsycopgDriver

PSYCOPG = PsycopgDriver()


def said(sqlstate: str) -> psycopg.Error:
    """As psycopg makes it from a server's answer to a statement."""
    error = errors.lookup(sqlstate)("text that nobody reads")
    error.sqlstate = sqlstate
    return error


def wrapped(error: Exception, *, invalidated: bool = False) -> sqlalchemy.exc.DBAPIError:
    return sqlalchemy.exc.DBAPIError("SELECT 1", {}, error, connection_invalidated=invalidated)


@pytest.mark.parametrize("phase", [Phase.CHECKOUT, Phase.QUERY])
@pytest.mark.parametrize("sqlstate", ["57P01", "57P02", "57P05", "25P03", "08006", "08P01"])
def test_what_a_server_says_as_it_ends_a_session_is_a_lost_connection(sqlstate: str, phase: Phase) -> None:
    assert classify(said(sqlstate), phase, PSYCOPG) is Outcome.CONNECTION_LOST


@pytest.mark.parametrize("phase", [Phase.CHECKOUT, Phase.QUERY])
def test_an_operational_error_without_an_sqlstate_is_libpqs_own_and_a_lost_connection(phase: Phase) -> None:
    assert classify(psycopg.OperationalError("text"), phase, PSYCOPG) is Outcome.CONNECTION_LOST


def test_a_canceled_statement_is_a_statement_timeout() -> None:
    assert classify(said("57014"), Phase.QUERY, PSYCOPG) is Outcome.STATEMENT_TIMEOUT
    assert classify(wrapped(said("57014")), Phase.QUERY, PSYCOPG) is Outcome.STATEMENT_TIMEOUT


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (errors.ConnectionTimeout("text"), Outcome.CONNECT_TIMEOUT),
        (psycopg.OperationalError("text"), Outcome.CONNECT_ERROR),
        (psycopg.InterfaceError("text"), Outcome.CONNECT_ERROR),
        (OSError("text"), Outcome.CONNECT_ERROR),
        (KeyError("x"), Outcome.ERROR),
    ],
)
def test_while_connecting_only_its_own_timeout_is_one(error: Exception, outcome: Outcome) -> None:
    assert classify(error, Phase.CONNECT, PSYCOPG) is outcome
    assert classify(wrapped(error), Phase.CONNECT, PSYCOPG) is outcome


@pytest.mark.parametrize("phase", list(Phase))
def test_a_queue_that_ran_out_is_a_pool_timeout_in_any_phase(phase: Phase) -> None:
    assert classify(sqlalchemy.exc.TimeoutError("x", code="3o7r"), phase, PSYCOPG) is Outcome.POOL_TIMEOUT


def test_what_sqlalchemy_calls_invalidated_is_lost_and_anything_else_an_error() -> None:
    assert classify(wrapped(psycopg.InternalError("x"), invalidated=True), Phase.QUERY, PSYCOPG) is (
        Outcome.CONNECTION_LOST
    )
    assert classify(wrapped(said("42P01")), Phase.QUERY, PSYCOPG) is Outcome.ERROR
    assert classify(said("55P03"), Phase.QUERY, PSYCOPG) is Outcome.ERROR
    assert classify(KeyError("x"), Phase.QUERY, PSYCOPG) is Outcome.ERROR
