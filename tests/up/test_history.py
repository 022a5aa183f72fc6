"""What a sleeping database has done, read from its proxy's events: pure."""

import pytest

from harness.cli.up_screen import said
from harness.model.compute import State
from harness.processes.proxy_messages import AnyProxyEvent, ComputeSuspended, ComputeWoken, FirstAttempt
from harness.up.history import History

SUSPENDED = ComputeSuspended(proxy="database", at_s=1.0)
ASKED = FirstAttempt(proxy="database", at_s=2.0, ready_at_s=5.0, commanded=True)
WOKEN = ComputeWoken(proxy="database", at_s=5.0, planned_at_s=5.0)
LATER = ComputeWoken(proxy="database", at_s=9.0, planned_at_s=9.0)


@pytest.mark.parametrize(
    ("events", "wakes", "line"),
    [
        ([WOKEN], 0, "awake"),
        ([SUSPENDED, WOKEN], 0, "awake"),
        ([SUSPENDED, ASKED, WOKEN], 1, "awake after 3.00 s"),
        ([SUSPENDED, ASKED, WOKEN, LATER], 1, "awake"),
        ([SUSPENDED, ASKED, WOKEN, SUSPENDED, LATER], 1, "awake"),
    ],
    ids=["an outage", "given back in its sleep", "a wake", "an outage after a wake", "given back after a wake"],
)
def test_it_is_awake_after_an_outage_and_when_it_is_given_back_and_neither_is_a_wake(
    events: list[AnyProxyEvent], wakes: int, line: str
) -> None:
    history = History()
    for event in events:
        history.take(event)
    assert history.state is State.ACTIVE
    assert history.wakes_ended == len(history.wakes) == wakes
    assert all(wake.took_s == 3.0 for wake in history.wakes)
    assert said(events[-1], tuple(history.wakes)) == line
