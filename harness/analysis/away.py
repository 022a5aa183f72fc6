"""When the database did not answer: while it woke, and in outages."""

from collections.abc import Iterable
from dataclasses import dataclass

from harness.model.events import Event


@dataclass(frozen=True, slots=True)
class Away:
    """One such period, in seconds from the start of the burst."""

    began_s: float
    ended_s: float | None
    """None: it had not ended when the trial did."""
    is_wake: bool
    """Whether it began as a wake; else it is an outage."""


def away(events: Iterable[tuple[str, float]]) -> list[Away]:
    """The periods, from a trial's events and their moments in order of time. An outage in a wake is part of it."""
    periods: list[Away] = []
    began: tuple[float, bool] | None = None
    for event, at_s in events:
        if event in (Event.FIRST_ATTEMPT, Event.OUTAGE) and began is None:
            began = at_s, event == Event.FIRST_ATTEMPT
        elif event == Event.WOKEN and began is not None:
            periods.append(Away(began[0], at_s, began[1]))
            began = None
    if began is not None:
        periods.append(Away(began[0], None, began[1]))
    return periods
