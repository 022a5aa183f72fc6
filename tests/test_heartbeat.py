"""How long a loop stood still, as its own beats tell."""

import asyncio
import time

import pytest

from harness.heartbeat import EVERY_S, Heartbeat, beating


def test_a_beat_in_time_is_no_stall() -> None:
    heart = Heartbeat(10.0)
    assert heart.beat(10.0 + EVERY_S) is None
    assert heart.beat(10.0 + 2 * EVERY_S + 0.09) is None
    assert heart.stalled_s(10.0 + 2 * EVERY_S + 0.09) == 0.0


def test_a_late_beat_tells_since_when_and_for_how_long() -> None:
    heart = Heartbeat(10.0)
    heart.beat(10.05)
    assert heart.beat(13.1) == (10.05, pytest.approx(3.0))
    assert heart.beat(13.15) is None
    assert heart.stalled_s(13.15) == pytest.approx(3.0)


def test_a_stall_that_goes_on_is_counted_up_to_now() -> None:
    heart = Heartbeat(10.0)
    assert heart.stalled_s(12.05) == pytest.approx(2.0)
    heart.beat(12.05)
    assert heart.stalled_s(12.05) == pytest.approx(2.0)


def test_a_loop_that_computes_is_told_of() -> None:
    stalls: list[tuple[float, float]] = []

    async def play() -> None:
        beats = asyncio.create_task(beating(lambda at_s, for_s: stalls.append((at_s, for_s))))
        await asyncio.sleep(2 * EVERY_S)
        time.sleep(0.4)  # noqa: ASYNC251 - the stall
        await asyncio.sleep(2 * EVERY_S)
        beats.cancel()

    asyncio.run(play())
    assert max(for_s for _, for_s in stalls) >= 0.35
