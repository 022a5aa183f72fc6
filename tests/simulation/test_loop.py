"""Virtual time: the clock jumps, ties have an order, and what can't go on says so."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from harness.simulation.loop import StalledError, TimeLimitError, VirtualLoop, VirtualTimeError, run


def test_an_hour_passes_at_once() -> None:
    async def main(loop: VirtualLoop) -> float:
        await asyncio.sleep(3600)
        return loop.time()

    began_s = time.perf_counter()
    assert run(main) == 3600
    assert time.perf_counter() - began_s < 1


def test_timers_of_one_instant_fire_in_the_order_in_which_they_were_set() -> None:
    async def main(loop: VirtualLoop) -> list[int]:
        fired: list[int] = []
        for number in range(1000):
            loop.call_at(5.0 if number % 3 else 5, fired.append, number)
        await asyncio.sleep(6)
        return fired

    assert run(main) == list(range(1000))


def test_a_timer_that_was_cancelled_does_not_fire() -> None:
    async def main(loop: VirtualLoop) -> list[str]:
        fired: list[str] = []
        timers = [loop.call_later(1, fired.append, "never") for _ in range(5000)]
        for timer in timers:
            timer.cancel()
        loop.call_later(2, fired.append, "once")
        await asyncio.sleep(3)
        return fired

    assert run(main) == ["once"]


def test_timeouts_run_out_in_virtual_time() -> None:
    async def main(loop: VirtualLoop) -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await loop.create_future()
        return loop.time()

    assert run(main) == 30


def test_a_loop_that_can_never_go_on_says_what_waits() -> None:
    async def waiting_for_nobody(loop: VirtualLoop) -> None:
        await loop.create_future()

    with pytest.raises(StalledError, match=r"nothing can happen any more at 0.0 s.*waiting_for_nobody"):
        run(waiting_for_nobody)


def test_one_that_turns_on_the_spot_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.simulation.loop.ITERATIONS_AT_ONE_INSTANT", 1000)

    async def main(_: VirtualLoop) -> None:
        while True:
            await asyncio.sleep(0)

    with pytest.raises(StalledError, match="time stands still"):
        run(main)


def test_a_limit_ends_what_would_go_on_for_ever() -> None:
    async def main(_: VirtualLoop) -> None:
        while True:
            await asyncio.sleep(60)

    with pytest.raises(TimeLimitError):
        run(main, limit_s=timedelta(days=365).total_seconds())


@pytest.mark.parametrize(
    "what",
    [
        lambda loop: loop.run_in_executor(None, print),
        lambda loop: loop.create_server(asyncio.Protocol, "127.0.0.1", 0),
        lambda loop: loop.add_signal_handler(2, print),
        lambda loop: loop.create_connection(asyncio.Protocol, "127.0.0.1", 5432),
    ],
)
def test_what_needs_the_real_world_is_refused(what: Any) -> None:
    async def main(loop: VirtualLoop) -> None:
        result = what(loop)
        if asyncio.iscoroutine(result):
            await result

    with pytest.raises(VirtualTimeError, match="not possible in virtual time"):
        run(main)


def test_what_is_left_over_is_cancelled() -> None:
    ended: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.sleep(1e9)
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise

    async def main(loop: VirtualLoop) -> None:
        loop.create_task(forever())
        await asyncio.sleep(1)

    run(main)
    assert ended == ["cancelled"]
