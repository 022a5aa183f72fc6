"""The outcomes are those of the design, each with all that is true of it."""

import pytest

from harness.model.outcomes import FAILURES, Outcome
from harness.model.summary import SUMMARY

STATUS = {
    "ok": 200, "pool_timeout": 503, "connect_timeout": 503, "connect_error": 503, "statement_timeout": 504,
    "connection_lost": 500, "client_timeout": None, "error": 500,
}  # fmt: skip


def test_the_outcomes_are_the_designs_with_their_status() -> None:
    assert {outcome.value: outcome.http_status for outcome in Outcome} == STATUS


def test_only_an_answer_as_it_should_be_is_no_failure() -> None:
    assert set(Outcome) - set(FAILURES) == {Outcome.OK}


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_that_is_called_a_timeout_is_one(outcome: Outcome) -> None:
    assert outcome.is_timeout == outcome.value.endswith("timeout")


@pytest.mark.parametrize("outcome", Outcome)
def test_an_outcome_means_one_thing_wherever_it_is_explained(outcome: Outcome) -> None:
    (column,) = (column for column in SUMMARY if column.name == outcome.value)
    assert column.meaning == outcome.meaning
    assert len({other.meaning for other in Outcome}) == len(Outcome)
