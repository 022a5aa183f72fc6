"""Quiet day: 24 hours of light traffic; how often the compute sleeps and wakes, who waits, what it is paid for.

Two, twelve and sixty visits an hour, at random moments, and twelve with a heartbeat that keeps the compute awake. A
visit finds it asleep when nobody came in the five minutes before: with Poisson arrivals, the share exp(-rate × 5 min).
Not on compose: the real Toxiproxy does not tell of traffic, so its compute can't suspend for want of it.
"""

import math
from dataclasses import replace

from harness.scenario import Burst, Expectation, QueueListener, RealTime, Scenario, Variant, Warm, that
from harness.wake import profile

DAY_S = 86_400
neon = profile("neon", latency_s=8.0)
NAMES = {2: "2 visits an hour", 12: "12 an hour", 60: "60 an hour"}
heartbeat = "12 an hour and a heartbeat"


def day(hourly: int) -> tuple[Warm, Burst]:
    return Warm(0), Burst(24 * hourly, over_s=DAY_S)


def wakes_as_reckoned(hourly: int) -> Expectation:
    """Four standard deviations of the binomial number of visits that find it asleep."""
    visits, share = 24 * hourly, math.exp(-hourly / 12)
    mean, allowed = visits * share, 4 * math.sqrt(visits * share * (1 - share)) + 2
    return that(f"{mean:.0f} ± {allowed:.0f} wakes", lambda trial: abs(trial.wakes - mean) <= allowed)


awake_all_day = that("never asleep", lambda trial: trial.wakes == 0)

SCENARIO = Scenario(
    name="quiet_day",
    wake=neon,
    pools=("10+5",),
    timeline=day(12),
    variants=(
        *(Variant(name, timeline=day(hourly)) for hourly, name in NAMES.items()),
        Variant(heartbeat, timeline=day(12), listener=QueueListener(heartbeat_every_s=240)),
    ),
    control=False,
    expect={
        "10+5": (
            *(wakes_as_reckoned(hourly).in_variant(name) for hourly, name in NAMES.items()),
            awake_all_day.in_variant(heartbeat),
        )
    },
    real_time=RealTime(
        "a day is a minute, suspend_after 2 s, the wake 1 s, the heartbeat every 1.5 s",
        wake=replace(neon.with_changes(latency_s=1.0), suspend_after_s=2.0),
        timeline=(Warm(0), Burst(30, over_s=60)),
        variants=(
            Variant("one visit in 6 s", timeline=(Warm(0), Burst(10, over_s=60))),
            Variant("one in 2 s", timeline=(Warm(0), Burst(30, over_s=60))),
            Variant(
                "one in 2 s and a heartbeat",
                timeline=(Warm(0), Burst(30, over_s=60)),
                listener=QueueListener(heartbeat_every_s=1.5),
            ),
        ),
        expect={
            "10+5": (
                that("3 to 10 wakes", lambda trial: 3 <= trial.wakes <= 10).in_variant("one visit in 6 s"),
                that("4 to 16 wakes", lambda trial: 4 <= trial.wakes <= 16).in_variant("one in 2 s"),
                awake_all_day.in_variant("one in 2 s and a heartbeat"),
            )
        },
    ),
)
