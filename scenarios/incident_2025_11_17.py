"""2025-11-17: the database answers nobody for four minutes; was it the listener that never gave up?

Five pooled connections and no connection timeout: five requests hang until the database is back, and everybody else
fails after the queue's 30 s. The queue listener hangs beside them on a connection of its own, with no timeout, with
the 3 s of the first fix, or with the 15 s of the later one. The reference calls it the cause. Played out, the three
do not differ by a single request: the listener takes no slot of the pool. Its timeout mends the listener only.
"""

from harness.scenario import (
    Burst, QueueListener, RealTime, Scenario, Suspend, Variant, Warm, at_least, hang, none, pool, that,
)  # fmt: skip
from harness.wake import profile

as_it_was = pool("5+0", pool_timeout=30, connection_timeout=0, name="as it was")
with_a_limit = pool("5+0", pool_timeout=30, connection_timeout=10, name="with a limit")
patience = {"listener without a timeout": 0, "listener gives up after 3 s": 3, "listener gives up after 15 s": 15}
# 05:04:15 the first request hangs, 05:04:45 the first fails, 05:08:35 the restart.
outage_s = 260.0

SCENARIO = Scenario(
    name="incident_2025_11_17",
    wake=profile("neon", latency_s=outage_s, on_suspend="close"),
    pools=(as_it_was, with_a_limit),
    timeline=(Warm(), Suspend(), Burst(260, over_s=260, arrivals="even")),
    variants=tuple(
        Variant(name, listener=QueueListener(connect_timeout_s=seconds)) for name, seconds in patience.items()
    ),
    client_timeout_s=600,
    control=False,
    expect={
        as_it_was: (
            hang(5, longer_than_s=240),
            # Everybody else who came in time to see the queue's 30 s run out.
            at_least("pool_timeout", count=220),
            none("connect_timeout"),
            that("the first fails after 30 s", lambda trial: 30 <= (trial.first_failure_s or 0) <= 36),
        ),
        with_a_limit: at_least("connect_timeout", count=100),
    },
    real_time=RealTime(
        "260 s are 26 s, every timeout of the pool a tenth",
        wake=profile("neon", latency_s=26.0, on_suspend="close"),
        pools=(
            pool("5+0", pool_timeout=3, connection_timeout=0, name="as it was"),
            pool("5+0", pool_timeout=3, connection_timeout=1, name="with a limit"),
        ),
        timeline=(Warm(), Suspend(), Burst(260, over_s=26, arrivals="even")),
        expect={
            pool("5+0", pool_timeout=3, connection_timeout=0): (
                hang(5, longer_than_s=24),
                at_least("pool_timeout", count=200),
                none("connect_timeout"),
            ),
        },
    ),
)
