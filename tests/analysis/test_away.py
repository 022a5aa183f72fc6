"""When a trial's database did not answer, from its events."""

import pytest

from harness.analysis.away import Away, away
from harness.model.events import Event

WAKE, OUTAGE, BACK = Event.FIRST_ATTEMPT, Event.OUTAGE, Event.WOKEN


@pytest.mark.parametrize(
    ("events", "periods"),
    [
        ([], []),
        ([(Event.SUSPENDED, 0.0)], []),
        ([(WAKE, 1.0), (BACK, 3.0)], [Away(1.0, 3.0, is_wake=True)]),
        ([(OUTAGE, 1.0), (BACK, 3.0)], [Away(1.0, 3.0, is_wake=False)]),
        ([(OUTAGE, 1.0), (BACK, 3.0), (WAKE, 5.0)], [Away(1.0, 3.0, is_wake=False), Away(5.0, None, is_wake=True)]),
        # An outage in a wake, and one outage in another, are one period: nobody was answered in between.
        ([(WAKE, 1.0), (OUTAGE, 2.0), (BACK, 6.0)], [Away(1.0, 6.0, is_wake=True)]),
        ([(OUTAGE, 1.0), (OUTAGE, 2.0), (BACK, 6.0)], [Away(1.0, 6.0, is_wake=False)]),
        # A run from before there were outages, cut short.
        ([(BACK, 1.0), (WAKE, 2.0)], [Away(2.0, None, is_wake=True)]),
    ],
)
def test_the_periods_in_which_the_database_did_not_answer(events: list[tuple[str, float]], periods: list[Away]) -> None:
    assert away(events) == periods
