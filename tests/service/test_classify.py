"""What an exception means, by its type, code and SQLSTATE; test_outcomes.py has them from real servers."""

import asyncpg
import pytest
import sqlalchemy.exc

from harness.model.outcomes import Outcome, Phase
from harness.service.classify import classify


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
    ],
)  # fmt: skip
@pytest.mark.parametrize("phase", [Phase.CHECKOUT, Phase.QUERY])
def test_what_a_server_says_as_it_ends_a_session_is_a_lost_connection(sqlstate: str, name: str, phase: Phase) -> None:
    assert classify(postgres_error(sqlstate), phase) is Outcome.CONNECTION_LOST, name


@pytest.mark.parametrize("sqlstate", ["57P01", "57P05", "25P03", "08006", "57P03", "53300", "28P01"])
def test_the_same_in_answer_to_a_connection_attempt_is_a_connect_error(sqlstate: str) -> None:
    assert classify(postgres_error(sqlstate), Phase.CONNECT) is Outcome.CONNECT_ERROR


@pytest.mark.parametrize("sqlstate", ["25001", "25P02", "42P01", "23505", "40001", "57000"])
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
