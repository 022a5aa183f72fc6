"""The player of timelines, over a driver that remembers what it was asked for, in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from harness.model.events import Event
from harness.model.load_share import LoadShare
from harness.model.outcomes import Outcome
from harness.model.pool import PoolConfiguration
from harness.model.retry import Attempts, Retry
from harness.model.story import Story
from harness.model.timeline import (
    At,
    Burst,
    ConnectionLoss,
    Deploy,
    Idle,
    Outage,
    Slow,
    Suspend,
    TimelinePhase,
    Traffic,
    Warm,
    seed_of_burst,
)
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

    async def warm(self, ages_s: Sequence[float]) -> float:
        self.calls.append(("warm", tuple(ages_s)))
        await asyncio.sleep(WARMING_S)
        return self.loop.time()

    async def suspend(self) -> None:
        self.calls.append(("suspend", self.loop.time()))

    async def slow(self, round_trip_s: float) -> None:
        self.calls.append(("slow", round_trip_s))

    async def outage(self, outage: Outage) -> None:
        self.calls.append(("outage", outage, self.loop.time()))

    async def lose_connections(self, loss: ConnectionLoss) -> None:
        self.calls.append(("lose_connections", loss))

    async def replace_pool(self, instance: int) -> None:
        self.calls.append(("replace_pool", instance, self.loop.time()))

    async def begin_load(self, share: LoadShare) -> float:
        self.calls.append(("begin_load", share))
        return self.loop.time() + 0.1

    async def end_load(self, share: LoadShare) -> float:
        self.calls.append(("end_load", share))
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
    first = LoadShare(load=FIRST, seed=trial.burst_seed(0), retry=retry)
    second = LoadShare(load=SECOND, seed=trial.burst_seed(1), first_number=30, first_burst=1, retry=retry)
    third = LoadShare(load=FIRST, seed=trial.burst_seed(2), first_number=50, first_burst=2, retry=retry)
    assert driver.calls == [
        ("connect_listeners",),
        ("warm", (0.0,) * 5),
        ("suspend", WARMING_S),
        ("begin_load", first),
        ("end_load", first),
        ("slow", 0.2),
        ("begin_load", second),
        ("end_load", second),
        ("begin_load", third),
        ("end_load", third),
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


TRAFFIC = Traffic(
    Burst.rate(4, for_s=1.0), Burst.rate(8, for_s=2.0), At(0.5, Outage.restart(0.2)), At(0.5, Slow(0.1)),
    At(1.5, Deploy(every_s=1.0)), At(2.0, Burst(3, 1.0)), At(2.0, Suspend()),
)  # fmt: skip


def test_in_traffic_bursts_follow_on_time_and_phases_come_at_their_moments_meanwhile() -> None:
    driver, trial, took_s = played(TRAFFIC, FIRST, instances=2)
    share = LoadShare(load=TRAFFIC, seed=trial.burst_seed(0))
    after = LoadShare(load=FIRST, seed=trial.burst_seed(3), first_number=23, first_burst=3)
    start_s = 0.1
    assert driver.calls == [
        ("connect_listeners",),
        ("begin_load", share),
        ("end_load", share),
        ("outage", Outage.restart(0.2), pytest.approx(start_s + 0.5)),
        ("slow", 0.1),
        ("replace_pool", 0, pytest.approx(start_s + 1.5)),
        ("suspend", pytest.approx(start_s + 2.0)),
        ("replace_pool", 1, pytest.approx(start_s + 2.5)),
        ("begin_load", after),
        ("end_load", after),
    ]
    bursts = [(at_s, detail) for event, at_s, _, detail in driver.events if event is Event.BURST_STARTED]
    assert bursts == [
        (pytest.approx(start_s), {"burst": 0}),
        (pytest.approx(start_s + 1.0), {"burst": 1}),
        (pytest.approx(start_s + 2.0), {"burst": 2}),
        (pytest.approx(BURST_S + 0.1), {"burst": 3}),
    ]
    assert took_s == pytest.approx(2 * BURST_S + SETTLE_S)


def test_the_arrivals_of_traffic_are_those_of_its_bursts_each_at_its_time() -> None:
    arrivals = TRAFFIC.schedule(7)
    assert [arrival.number for arrival in arrivals] == list(range(23))
    assert sorted(arrivals, key=lambda arrival: arrival.at_s) == list(arrivals)
    for number, (start_s, burst) in enumerate(zip(TRAFFIC.starts_s, TRAFFIC.bursts, strict=True)):
        own = [(start_s + arrival.at_s, arrival.key) for arrival in burst.schedule(seed_of_burst(7, number))]
        assert [(arrival.at_s, arrival.key) for arrival in arrivals if arrival.burst == number] == own
    assert TRAFFIC.starts_s == (0.0, 1.0, 2.0)
    assert TRAFFIC.over_s == 3.0


def test_traffic_goes_on_until_what_comes_last_has_come() -> None:
    driver, _, took_s = played(Traffic(FIRST, At(BURST_S + 3.0, Slow(0.5))))
    assert driver.calls[-1] == ("slow", 0.5)
    assert took_s == pytest.approx(0.1 + BURST_S + 3.0 + SETTLE_S)


def test_a_control_has_no_outage() -> None:
    traffic = Traffic(FIRST, At(0.5, Outage.restart(1.0)), At(0.6, Slow(0.1)), At(0.7, ConnectionLoss(0.5)))
    control, _, _ = played(traffic, control=True)
    assert [call[0] for call in control.calls] == ["connect_listeners", "begin_load", "end_load", "slow"]
    driver, _, _ = played(traffic)
    assert ("lose_connections", ConnectionLoss(0.5)) in driver.calls


def test_a_control_never_sleeps() -> None:
    driver, _, _ = played(Suspend(), FIRST, control=True)
    assert [call[0] for call in driver.calls] == ["connect_listeners", "begin_load", "end_load"]
    assert driver.phases == ["suspending", "burst"]


def test_warming_no_connections_is_still_asked_for() -> None:
    driver, _, _ = played(Warm(0), FIRST)
    assert driver.calls[1] == ("warm", ())
    assert driver.events[0][3] == {"connections": 0}


def test_a_client_asks_again_after_its_waits_until_an_answer_is_good_or_none_is_left() -> None:
    attempts = Attempts((0.5, 1.5))
    assert [attempts.number, attempts.wait_after_s(Outcome.ERROR)] == [1, 0.5]
    assert [attempts.number, attempts.wait_after_s(Outcome.CLIENT_TIMEOUT)] == [2, 1.5]
    assert [attempts.number, attempts.wait_after_s(Outcome.POOL_TIMEOUT)] == [3, None]
    assert Attempts((0.5,)).wait_after_s(Outcome.OK) is None
    assert Attempts(()).wait_after_s(Outcome.ERROR) is None


def test_a_share_without_retries_waits_for_nothing() -> None:
    share = LoadShare(load=FIRST, seed=1)
    assert share.waits_s(0) == []
    assert replace(share, retry=Retry(retries=2, wait_s=1.0)).waits_s(0) == [1.0, 2.0]
    drawn = replace(share, retry=Retry(retries=2, wait_s=1.0, jitter=True))
    assert drawn.waits_s(4) == drawn.waits_s(4) != drawn.waits_s(5) != replace(drawn, seed=2).waits_s(5)
