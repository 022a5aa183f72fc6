"""Recycle: pool_recycle shorter and longer than the five idle minutes before connections froze.

A connection older than pool_recycle is not tried but replaced at its next checkout. With 240 s the frozen ones are
never touched: the requests only wait for the wake. With the default, two hours, the first request on each of them
waits for its ping to time out, and fails.
"""

from harness.scenario import Burst, Idle, RealTime, Scenario, Suspend, Warm, at_least, none, pool
from harness.wake import profile

short, long = pool("5+0", pool_recycle=240), pool("5+0", pool_recycle=7200)
burst = Burst(60, over_s=10)
quick = pool("5+0", pool_recycle=4)

SCENARIO = Scenario(
    name="recycle",
    wake=profile("neon", latency_s=3.0, on_suspend="freeze"),
    pools=(short, long),
    timeline=(Warm(), Idle(300), Suspend(), burst),
    expect={short: none("connection_lost"), long: at_least("connection_lost", count=5)},
    real_time=RealTime(
        "the five idle minutes are 6 s, the short pool_recycle 4 s",
        pools=(quick, long),
        timeline=(Warm(), Idle(6), Suspend(), burst),
        expect={quick: none("connection_lost"), long: at_least("connection_lost", count=5)},
    ),
)
