"""The soak itself, some seconds of it, and the rule by which it says what grows."""

import random
from dataclasses import replace

import pytest

from benchmarks.soak import Held, Sample, Soaked, measures, soak, status
from benchmarks.soak_load import Done
from benchmarks.trend import Trend, Verdict

pytestmark = pytest.mark.anyio

HELD = Held(descriptors=15, mib=70.0, tasks=4, backends=3)


def samples(minutes: float = 60, *, leaks_an_hour: float = 0.0, noise: float = 0.0) -> list[Sample]:
    """A rest every half minute; memory grows by so much an hour, from one rest to the next by chance too."""
    chance = random.Random(1)
    times_h = [number / 120 for number in range(int(minutes * 2))]
    ways = {"direct": 0.1, "ours": 0.125}
    memory = [HELD.mib + leaks_an_hour * at_h + chance.gauss(0, noise) for at_h in times_h]
    return [
        Sample(at_h, replace(HELD, mib=mib), ways, replace(HELD, mib=mib))
        for at_h, mib in zip(times_h, memory, strict=True)
    ]


def verdicts(of: list[Sample]) -> dict[str, str]:
    return {one.name: str(one.verdict(of)) for one in measures(()) if one.allowed is not None}


def test_what_stays_as_it_is_is_flat() -> None:
    assert set(verdicts(samples(noise=1.0)).values()) == {"flat"}
    assert status(Soaked(samples(noise=1.0), Done(), "")) == 0


@pytest.mark.parametrize(("leaks_an_hour", "verdict"), [(40, "grows"), (-40, "falls"), (3, "flat")])
def test_what_grows_or_falls_by_more_than_is_allowed_is_said_and_is_status_1(
    leaks_an_hour: float, verdict: str
) -> None:
    leaking = samples(leaks_an_hour=leaks_an_hour, noise=1.0)
    assert verdicts(leaking)["memory (RSS) [MiB]"] == verdict
    assert status(Soaked(leaking, Done(), "")) == (0 if verdict == "flat" else 1)


@pytest.mark.parametrize("unclear", [samples(minutes=3), samples(minutes=12, noise=20.0)], ids=["short", "noisy"])
def test_too_short_or_too_noisy_is_unknown_and_status_5(unclear: list[Sample]) -> None:
    assert verdicts(unclear)["memory (RSS) [MiB]"] == "unknown"
    assert status(Soaked(unclear, Done(), "")) == 5


@pytest.mark.parametrize(("done", "log"), [(Done(unexpected=["churned: TimeoutError"]), ""), (Done(), "a traceback")])
def test_a_failure_or_a_line_in_the_log_is_status_1_however_flat_it_is(done: Done, log: str) -> None:
    assert status(Soaked(samples(), done, log)) == 1


def test_what_fills_in_the_first_minutes_is_left_out() -> None:
    filling = [replace(one, held=replace(HELD, mib=70 - max(0.0, 5 - one.at_h * 60) * 4)) for one in samples()]
    assert verdicts(filling)["memory (RSS) [MiB]"] == "flat"


def test_a_slope_is_that_of_most_samples_whatever_a_few_are() -> None:
    hours = [number / 60 for number in range(60)]
    trend = Trend.of(hours, [100.0 if number % 10 == 0 else 2 * at_h for number, at_h in enumerate(hours)])
    assert trend is not None
    assert trend.slope == pytest.approx(2, abs=0.1)
    assert trend.low <= 2 <= trend.high
    assert trend.within(3) is not Verdict.GROWS


@pytest.mark.timeout(180)
async def test_some_seconds_of_it_do_everything_and_leave_nothing() -> None:
    lines: list[str] = []
    soaked = await soak(0.1, 3.0, progress=lines.append)
    done = soaked.done
    assert len(soaked.samples) == len(lines) >= 1
    assert done.unexpected == []
    assert soaked.log == ""
    assert min(done.connections, done.abandoned, done.wakes, done.toxics) > 0
    first, last = soaked.samples[0], soaked.samples[-1]
    assert first.held.descriptors == last.held.descriptors < first.most.descriptors
    # Its own connection, and a probe through each server.
    assert last.held.backends == len(last.round_trip_ms) < last.most.backends
    assert {"direct", "ours"} <= set(last.round_trip_ms)
    assert all(value > 0 for value in last.round_trip_ms.values())
