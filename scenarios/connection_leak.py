"""Connection leak: one request in fifty never gives its connection back; a larger pool only dies later.

No setting mends a leak: what the pool's size changes is when the first request fails. The alert on utilization comes
long before: that is the one to act on.
"""

from harness.scenario import Burst, RequestMix, Scenario, Warm, at_least, pool, that
from harness.wake import profile

small, large = pool("3+0", pool_timeout=3), pool("6+3", pool_timeout=3)
warned = that(
    "the alert comes before the first failure",
    lambda trial: trial.alert_lead_s is not None and trial.alert_lead_s > 0,
)

SCENARIO = Scenario(
    name="connection_leak",
    wake=profile("always-on"),
    pools=(small, large),
    timeline=(Warm(), Burst(900, over_s=45, mix=RequestMix.of({"read_track": 49, "leak_connection": 1}))),
    expect={
        small: (at_least("pool_timeout", count=400), warned),
        large: (
            at_least("pool_timeout", count=50),
            warned,
            that("no failure in the first 15 s", lambda trial: (trial.first_failure_s or 0) > 15),
        ),
    },
)
