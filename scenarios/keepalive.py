"""Keepalive: a heartbeat every four minutes keeps a compute awake that sleeps after five; what it costs and saves.

Half an hour of silence, ten visitors, and the same once more. Without a heartbeat the compute sleeps through the
silence and the visitors wait for it, twice. With one nobody waits, and the compute is paid for the whole hour.
Not on compose: the real Toxiproxy does not tell of traffic, so its compute can't suspend for want of it.
"""

from dataclasses import replace

from harness.scenario import (
    Burst, Expectation, Idle, QueueListener, RealTime, Scenario, Variant, Warm, hang, latency_at_most, that,
)  # fmt: skip
from harness.wake import profile

neon = profile("neon", latency_s=5.0)
visitors = Burst(10, over_s=20)
silent, heartbeat = "no heartbeat", "a heartbeat"
never_woken = that("the compute never sleeps", lambda trial: trial.wakes == 0)


def awake(least_s: float, most_s: float) -> Expectation:
    return that(f"awake {least_s:g} to {most_s:g} s", lambda trial: least_s <= (trial.awake_s or 0) <= most_s)


SCENARIO = Scenario(
    name="keepalive",
    wake=neon,
    pools=("10+5",),
    timeline=(Warm(1), Idle(1800), visitors, Idle(1800), visitors),
    variants=(
        Variant(silent, listener=None),
        Variant(heartbeat, listener=QueueListener(heartbeat_every_s=240)),
    ),
    control=False,
    expect={
        "10+5": (
            hang(2, longer_than_s=4).in_variant(silent),
            awake(600, 1000).in_variant(silent),
            latency_at_most(0.5).in_variant(heartbeat),
            never_woken.in_variant(heartbeat),
            awake(3600, 3700).in_variant(heartbeat),
        )
    },
    real_time=RealTime(
        "half an hour is 8 s, suspend_after 3 s, the wake 2 s, the heartbeat every 2 s",
        wake=replace(neon.with_changes(latency_s=2.0), suspend_after_s=3.0),
        timeline=(Warm(1), Idle(8), Burst(10, over_s=2), Idle(8), Burst(10, over_s=2)),
        variants=(
            Variant(silent, listener=None),
            Variant(heartbeat, listener=QueueListener(heartbeat_every_s=2)),
        ),
        expect={
            "10+5": (
                hang(2, longer_than_s=1).in_variant(silent),
                latency_at_most(0.5).in_variant(heartbeat),
                never_woken.in_variant(heartbeat),
            )
        },
    ),
)
