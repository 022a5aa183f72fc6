"""Pool exhausted: requests hold their connections too long, the queue waits for pool_timeout, then 503.

Every second request waits a second for something else, an upload perhaps, with a connection checked out. 30 requests
a second need 15 connections for that alone. The database is awake throughout: no cold start is needed for this.
"""

from harness.scenario import Burst, RequestMix, Scenario, Warm, at_least, hang, latency_at_most, none, pool
from harness.wake import profile

small, medium, large = (pool(size, pool_timeout=2) for size in ("5+0", "10+5", "20+10"))

SCENARIO = Scenario(
    name="pool_exhausted",
    wake=profile("always-on"),
    pools=(small, medium, large),
    timeline=(Warm(), Burst(300, over_s=10, mix=RequestMix.of({"read_track": 1, "hold_connection": 1}, hold_s=1.0))),
    expect={
        small: at_least("pool_timeout", count=150),
        # 15 connections for 15 that are needed: nobody fails, and the queue is never empty again.
        medium: hang(60, longer_than_s=1.5),
        large: (none("failure"), latency_at_most(1.5)),
    },
)
