"""Processes that share cores: each computes at an equal share, none is computed twice, and none is forgotten."""

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.simulation.cores import Cores
from harness.simulation.loop import VirtualLoop, run

WORK = st.lists(st.tuples(st.floats(0, 3), st.floats(0.001, 2)), min_size=1, max_size=12)
"""When each begins, and how many seconds it computes."""


def ends(work: list[tuple[float, float]], count: int, cancelled_at_s: dict[int, float] | None = None) -> list[float]:
    """When each has computed; infinity: never."""
    ended = [float("inf")] * len(work)

    async def main(loop: VirtualLoop) -> None:
        cores = Cores(loop, count)

        def end(number: int) -> Callable[[], None]:
            return lambda: ended.__setitem__(number, loop.time())

        def begin(number: int, seconds: float) -> None:
            computing = cores.compute(seconds, end(number))
            if cancelled_at_s and number in cancelled_at_s:
                loop.call_at(cancelled_at_s[number], computing.cancel)

        for number, (at_s, seconds) in enumerate(work):
            loop.call_at(at_s, begin, number, seconds)
        await asyncio.sleep(100.0)

    run(main)
    return ended


def test_one_alone_takes_its_own_time_and_as_many_as_there_are_cores_do_not_slow_each_other() -> None:
    assert ends([(1.0, 0.5)], 1) == [1.5]
    assert ends([(0.0, 0.5), (0.0, 2.0)], 2) == [0.5, 2.0]


def test_fifteen_on_two_cores_end_together_after_all_that_they_compute_is_done() -> None:
    assert ends([(0.0, 0.01)] * 15, 2) == pytest.approx([0.075] * 15)


def test_who_comes_later_slows_the_one_before_and_who_leaves_speeds_it_up() -> None:
    # Alone for 1 s, then beside another for 1 s at half the speed, which leaves then.
    assert ends([(0.0, 2.0), (1.0, 5.0)], 1, {1: 2.0}) == [pytest.approx(2.5), float("inf")]


@given(WORK, st.integers(1, 4))
def test_nobody_ends_before_its_own_time_and_all_end_when_the_cores_have_done_the_work(
    work: list[tuple[float, float]], count: int
) -> None:
    ended = ends(work, count)
    for (at_s, seconds), end_s in zip(work, ended, strict=True):
        assert end_s >= at_s + seconds - 1e-6
    # However it is shared, cores that are never idle while somebody waits end no later than one core would.
    busy_until_s = 0.0
    for at_s, seconds in sorted(work):
        busy_until_s = max(busy_until_s, at_s) + seconds
    assert max(ended) <= busy_until_s + 1e-6
    if count == 1:
        assert max(ended) == pytest.approx(busy_until_s, abs=1e-6)


@given(WORK)
def test_of_those_that_begin_together_who_computes_less_ends_first(work: list[tuple[float, float]]) -> None:
    together = [(0.0, seconds) for _, seconds in work]
    in_order = [end_s for _, end_s in sorted(zip([s for _, s in together], ends(together, 2), strict=True))]
    assert all(before <= after + 1e-9 for before, after in pairwise(in_order))


def test_what_begins_as_another_ends_is_beside_those_that_are_left() -> None:
    ended: list[float] = []

    async def main(loop: VirtualLoop) -> None:
        cores = Cores(loop, 1)
        cores.compute(1.0, lambda: cores.compute(1.0, lambda: ended.append(loop.time())) and None)
        cores.compute(2.0, lambda: ended.append(loop.time()))
        await asyncio.sleep(10.0)

    run(main)
    # Until 2 s each had 1 s of the core; then both have 1 s left, at half the speed.
    assert ended == pytest.approx([4.0, 4.0])
