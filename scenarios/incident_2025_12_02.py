"""2025-12-02: five quiet minutes, then 248 s in which connection requests got no answer; five visitors, then everyone.

Zero is 01:55:56, the first visitor; the others of the five came 45 and 104 s later, everybody else from 107 s on, a
request a second. The listener's reconnect at 01:55:19, 37 s before, starts the wake. The pool's connections had been
closed: pre-ping finds that out at once, and the new connect hangs. Connection requests are dropped and the host has
three addresses: Linux gives up on one after 127 s, and asks again after 1, 3, 7, 15, 31 and 63 s.

Played with the settings of that night, with the new ones, and with each part of the fix alone. Not on compose: the
real Toxiproxy can't leave a connection request unanswered.
"""

from harness.scenario import (
    Burst, Idle, QueueListener, RealTime, Scenario, Suspend, TrialSummary, Warm, at_least, hang, latency_at_most,
    pool, that,
)  # fmt: skip
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
    """Each of the five hangs for 0.5 to 1.5 times as long as it did."""
    hung = trial.latencies_s[:5]
    return all(0.5 <= played / real <= 1.5 for played, real in zip(hung, recorded_s, strict=True))


def beside_the_record(trial: TrialSummary) -> str:
    hung = trial.latencies_s[:5]
    return ", ".join(f"{played:.0f} ({real:.0f})" for played, real in zip(hung, recorded_s, strict=True)) + " s"


def connected_at_s(trial: TrialSummary) -> float:
    return next((at_s for event, at_s, _ in trial.listener if event == "listener_connected" and at_s > 0), 0.0)


def listener_back(trial: TrialSummary) -> bool:
    return 245 <= connected_at_s(trial) <= 251


def its_time(trial: TrialSummary) -> str:
    return f"after {connected_at_s(trial):.0f} s (248: 02:00:04)"


def pool_back(trial: TrialSummary) -> bool:
    return 250 <= (trial.recovered_after_s or 0) <= 256


def pools_time(trial: TrialSummary) -> str:
    return f"after {trial.recovered_after_s or 0:.0f} s (253: 02:00:09)"


SCENARIO = Scenario(
    name="incident_2025_12_02",
    wake=profile("neon-outage", on_suspend="close"),
    pools=(that_night, only_larger, only_the_queue, only_connecting, the_fix),
    timeline=(Warm(), Idle(302), Suspend(), Idle(40), Burst.at(*five, *everyone)),
    listener=QueueListener(),
    client_timeout_s=600,
    control=False,
    expect={
        that_night: (
            that("the five hang 0.5 to 1.5 times as long as recorded", near_the_record, shows=beside_the_record),
            at_least("pool_timeout", count=87),
            that("the listener connects 245 to 251 s after the first visitor", listener_back, shows=its_time),
            that("the pool recovers 250 to 256 s after the first visitor", pool_back, shows=pools_time),
        ),
        # Ten more slots hang as the five do: everyone else fails all the same.
        only_larger: (hang(15, longer_than_s=60), at_least("pool_timeout", count=60)),
        # They fail sooner, and no fewer of them.
        only_the_queue: (hang(5, longer_than_s=120), at_least("pool_timeout", count=87)),
        only_connecting: (
            at_least("connect_timeout", count=10),
            latency_at_most(60),
            at_least("pool_timeout", count=1),
        ),
        # At 248 s nothing is saved; but nobody waits longer than for one timeout.
        the_fix: (at_least("connect_timeout", count=50), latency_at_most(10.5)),
    },
    real_time=RealTime(
        "the five quiet minutes are 2 s and the 248 s are 40 s; the visitors come within 20 s, timeouts are a tenth",
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
