"""The player of timelines, over a driver that remembers what it was asked for, in virtual time."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.model.burst_share import BurstShare
from harness.model.events import Event
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.retry import Attempts, Retry
from harness.model.story import Story
from harness.model.timeline import Burst, Idle, Slow, Suspend, TimelinePhase, Warm
from harness.model.trial import Trial
from harness.model.wake import profile
from harness.player import SETTLE_S, Player
from harness.simulation.loop import VirtualLoop, run

WARMING_S, BURST_S = 0.5, 4.0


@dataclass
class Remembering:
    """A driver to which warming and bursts take time, and nothing else does."""

    loop: VirtualLoop
    calls: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    phases: list[str] = field(default_factory=list)

    def under_way(self, phase: str) -> None:
        self.phases.append(phase)

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        self.events.append((event, at_s, value_s, detail))

    async def connect_listeners(self) -> None:
        self.calls.append(("connect_listeners",))

    async def warm(self, connections: int) -> float:
        self.calls.append(("warm", connections))
        await asyncio.sleep(WARMING_S)
        return self.loop.time()

    async def suspend(self) -> None:
        self.calls.append(("suspend", self.loop.time()))

    async def slow(self, round_trip_s: float) -> None:
        self.calls.append(("slow", round_trip_s))

    async def begin_burst(self, burst: BurstShare, *, first_number: int) -> float:
        self.calls.append(("begin_burst", burst, first_number))
        return self.loop.time() + 0.1

    async def end_burst(self, burst: BurstShare) -> float:
        self.calls.append(("end_burst", burst))
        await asyncio.sleep(BURST_S)
        return self.loop.time() - 0.01


def played(*timeline: TimelinePhase, control: bool = False, **story: Any) -> tuple[Remembering, Trial, float]:
    """What was asked of the driver, of which trial, and how long it took."""
    wake = profile("neon")
    trial = Trial(
        number=3,
        story=Story(name="x", wake=wake, timeline=timeline, **story),
        pool=PoolConfiguration.from_short("5+2"),
        wake=None if control else wake,
        seed=7,
    )

    async def play(loop: VirtualLoop) -> tuple[Remembering, float]:
        driver = Remembering(loop)
        await Player(trial, driver).play()
        return driver, loop.time()

    driver, took_s = run(play)
    return driver, trial, took_s


FIRST, SECOND = Burst(requests=30, over_s=1.0), Burst(requests=20, over_s=2.0, arrivals="even")


def test_the_phases_are_played_in_their_order_and_the_pool_settles_at_the_end() -> None:
    retry = Retry(retries=2)
    driver, trial, took_s = played(Warm(), Suspend(), FIRST, Idle(60.0), Slow(0.2), SECOND, FIRST, retry=retry)
    first = BurstShare(burst=FIRST, seed=trial.burst_seed(0), retry=retry)
    second = BurstShare(burst=SECOND, seed=trial.burst_seed(1), retry=retry)
    third = BurstShare(burst=FIRST, seed=trial.burst_seed(2), retry=retry)
    assert driver.calls == [
        ("connect_listeners",),
        ("warm", 5),
        ("suspend", WARMING_S),
        ("begin_burst", first, 0),
        ("end_burst", first),
        ("slow", 0.2),
        ("begin_burst", second, 30),
        ("end_burst", second),
        ("begin_burst", third, 50),
        ("end_burst", third),
    ]
    assert driver.phases == ["warming", "suspending", "burst", "idle", "slowing", "burst", "burst"]
    assert took_s == pytest.approx(WARMING_S + 3 * BURST_S + 60.0 + SETTLE_S)


def test_what_happens_is_recorded_with_its_moment() -> None:
    driver, _, _ = played(Warm(4), FIRST, Slow(0.2), instances=3)
    assert driver.events == [
        (Event.WARMED, pytest.approx(WARMING_S), None, {"connections": 12}),
        (Event.BURST_STARTED, pytest.approx(WARMING_S + 0.1), None, {}),
        (Event.BURST_ENDED, pytest.approx(WARMING_S + BURST_S - 0.01), None, {}),
        (Event.SLOW, pytest.approx(WARMING_S + BURST_S), 0.2, {}),
    ]


def test_a_control_never_sleeps() -> None:
    driver, _, _ = played(Suspend(), FIRST, control=True)
    assert [call[0] for call in driver.calls] == ["connect_listeners", "begin_burst", "end_burst"]
    assert driver.phases == ["suspending", "burst"]


def test_warming_no_connections_is_still_asked_for() -> None:
    driver, _, _ = played(Warm(0), FIRST)
    assert driver.calls[1] == ("warm", 0)
    assert driver.events[0][3] == {"connections": 0}


def test_a_client_asks_again_after_its_waits_until_an_answer_is_good_or_none_is_left() -> None:
    attempts = Attempts((0.5, 1.5))
    assert [attempts.number, attempts.wait_after_s(Outcome.ERROR)] == [1, 0.5]
    assert [attempts.number, attempts.wait_after_s(Outcome.CLIENT_TIMEOUT)] == [2, 1.5]
    assert [attempts.number, attempts.wait_after_s(Outcome.POOL_TIMEOUT)] == [3, None]
    assert Attempts((0.5,)).wait_after_s(Outcome.OK) is None
    assert Attempts(()).wait_after_s(Outcome.ERROR) is None


def test_a_share_without_retries_waits_for_nothing() -> None:
    share = BurstShare(burst=FIRST, seed=1)
    assert share.waits_s(0) == []
    assert replace(share, retry=Retry(retries=2, wait_s=1.0)).waits_s(0) == [1.0, 2.0]
    drawn = replace(share, retry=Retry(retries=2, wait_s=1.0, jitter=True))
    assert drawn.waits_s(4) == drawn.waits_s(4) != drawn.waits_s(5) != replace(drawn, seed=2).waits_s(5)
