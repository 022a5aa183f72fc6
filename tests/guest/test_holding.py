"""When a request computes: what is told apart, with connections in each other and none at all."""

import pytest

from harness.guest.holding import Holding


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def test_what_is_computed_while_a_connection_is_checked_out_is_told_apart() -> None:
    clock = Clock()
    holding = Holding(clock)
    clock.now_s = 1.0
    holding.checked_out()
    clock.now_s = 1.25
    # A second one within the first, as a background task has it.
    holding.checked_out()
    holding.given_back()
    clock.now_s = 1.5
    holding.given_back()
    clock.now_s = 5.0
    holding.checked_out()
    clock.now_s = 5.125
    holding.given_back()
    assert holding.report() == (1.0, 0.625)
    assert holding.report() == (None, 0.0)


def test_a_connection_that_is_still_out_is_told_in_parts() -> None:
    clock = Clock()
    holding = Holding(clock)
    holding.checked_out()
    clock.now_s = 2.0
    assert holding.report() == (0.0, 2.0)
    clock.now_s = 5.0
    holding.given_back()
    assert holding.report() == (None, 3.0)


@pytest.mark.parametrize("times", [1, 3])
def test_what_was_checked_out_before_it_was_watched_counts_for_nothing(times: int) -> None:
    clock = Clock()
    holding = Holding(clock)
    for _ in range(times):
        clock.now_s += 1.0
        holding.given_back()
    assert holding.report() == (None, 0.0)
    holding.checked_out()
    clock.now_s += 0.5
    assert holding.report() == (float(times), 0.5)
