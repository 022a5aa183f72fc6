"""Five idle minutes, a suspend, and a burst: what each pool makes of the wake-up.

The compute suspends with the pool warm, and 200 requests come over the next 20 s. The first of them starts the
wake. It is played twice: once the wake takes 8 s, less than every timeout; once 12 s, two more than the 10 s
that the incident of 2025-12-02 was answered with.
"""

from harness.scenario import Burst, Scenario, Suspend, Warm, after_change, at_least, before_change, none, pool
from harness.wake import profile

five_plus_none = pool("5+0", pool_timeout=10)

SCENARIO = Scenario(
    name="cold_burst",
    wake=(profile("neon", latency_s=8.0), profile("neon", latency_s=12.0)),
    pools=(before_change, five_plus_none, after_change, "15+5", "10+10"),
    timeline=(Warm(), Suspend(), Burst(requests=200, over_s=20, arrivals="poisson")),
    expect={
        # A queue that is more patient than the wake loses only those who were connecting.
        before_change: (none("failure").at_wake(8), none("pool_timeout").at_wake(12)),
        # One that gives up after 10 s loses those who came in the first seconds of a 12 s wake.
        five_plus_none: (none("failure").at_wake(8), at_least("pool_timeout", count=1).at_wake(12)),
        # The fix holds at 8 s. At 12 s a larger pool only lets more requests into a connect that times out.
        after_change: (none("failure").at_wake(8), at_least("connect_timeout", count=15).at_wake(12)),
    },
)
