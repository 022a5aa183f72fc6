"""2025-12-02: five quiet minutes, then 248 s in which connection requests got no answer; five visitors, then everyone.

Zero is 01:55:56, the first visitor. The others of the five came 45 and 104 s later; from 107 s on everybody else, a
request a second. The listener's heartbeat had failed at -65 s; its reconnect, at -37 s, starts the wake, so the wake
takes 285 s from there. The pool's connections had been closed: pre-ping finds that out at once, and the new connect
hangs. Connection requests are dropped, the host has three addresses: Linux gives up on one after 127 s.

Played with the settings of that night, with the new ones, and with each part of the fix alone.
"""

from harness.scenario import (
    Burst,
    Idle,
    QueueListener,
    RealTime,
    Scenario,
    Suspend,
    Warm,
    at_least,
    hang,
    latency_at_most,
    pool,
    that,
)
from harness.summary import TrialSummary
from harness.wake import profile

that_night = pool("5+0", pool_timeout=30, connection_timeout=0, statement_timeout=0)
only_larger = pool("10+5", pool_timeout=30, connection_timeout=0, statement_timeout=0)
only_the_queue = pool("5+0", pool_timeout=10, connection_timeout=0, statement_timeout=0)
only_connecting = pool("5+0", pool_timeout=30, connection_timeout=10, statement_timeout=0)
the_fix = pool("10+5", pool_timeout=10, connection_timeout=10)

five = (0.0, 45.0, 104.0, 104.0, 104.0)
everyone = tuple(float(second) for second in range(107, 194))
recorded_s = (333.9, 198.5, 213.5, 213.4, 134.2)


def near_the_record(trial: TrialSummary) -> bool:
    """Each of the five hangs for 0.6 to 1.6 times as long as it did."""
    hung = trial.latencies_s[:5]
    return all(0.6 <= played / real <= 1.6 for played, real in zip(hung, recorded_s, strict=True))


def beside_the_record(trial: TrialSummary) -> str:
    hung = trial.latencies_s[:5]
    return ", ".join(f"{played:.0f} ({real:.0f})" for played, real in zip(hung, recorded_s, strict=True)) + " s"


SCENARIO = Scenario(
    name="incident_2025_12_02",
    wake=profile("neon-outage", latency_s=285.0, on_suspend="close"),
    pools=(that_night, only_larger, only_the_queue, only_connecting, the_fix),
    timeline=(Warm(), Idle(300), Suspend(), Idle(65), Burst.at(*five, *everyone)),
    # The heartbeat fails 5 s after the suspend, and 28 s later the listener connects again.
    listener=QueueListener(heartbeat_every_s=5, backoff_first_s=23),
    client_timeout_s=600,
    control=False,
    expect={
        that_night: (
            that("the five hang 0.6 to 1.6 times as long as recorded", near_the_record, shows=beside_the_record),
            at_least("pool_timeout", count=87),
            that("the pool recovers once the wake is over", lambda trial: (trial.recovered_after_s or 0) >= 240),
        ),
        # Ten more slots hang as the five do: everyone else fails all the same.
        only_larger: (hang(15, longer_than_s=60), at_least("pool_timeout", count=60)),
        # They fail sooner, and no fewer of them.
        only_the_queue: (hang(5, longer_than_s=130), at_least("pool_timeout", count=87)),
        only_connecting: (
            at_least("connect_timeout", count=10),
            latency_at_most(60),
            at_least("pool_timeout", count=1),
        ),
        # At 248 s nothing is saved; but nobody waits longer than for one timeout.
        the_fix: (at_least("connect_timeout", count=50), latency_at_most(10.5)),
    },
    real_time=RealTime(
        "the five quiet minutes are 2 s and the 285 s are 40 s; the visitors come within 20 s, timeouts are a tenth",
        wake=profile("neon-outage", latency_s=40.0, on_suspend="close"),
        pools=(
            pool("5+0", pool_timeout=3, connection_timeout=0, statement_timeout=0),
            pool("10+5", pool_timeout=1, connection_timeout=1),
        ),
        timeline=(
            Warm(),
            Idle(2),
            Suspend(),
            Idle(6),
            Burst.at(0.0, 4.0, 10.0, 10.0, 10.0, *(10.5 + tenth / 5 for tenth in range(50))),
        ),
        listener=QueueListener(heartbeat_every_s=0.5, heartbeat_limit_s=0.5, backoff_first_s=2),
        expect={
            pool("5+0", pool_timeout=3, connection_timeout=0, statement_timeout=0): (
                hang(5, longer_than_s=20),
                at_least("pool_timeout", count=50),
            ),
            pool("10+5", pool_timeout=1, connection_timeout=1): (
                at_least("connect_timeout", count=30),
                latency_at_most(2.5),
            ),
        },
    ),
)
