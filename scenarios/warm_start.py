"""Warm start: a deploy while the database sleeps; the pool is filled before traffic arrives, or by the traffic.

Both services come up with nothing connected, against a sleeping compute. One opens its connections first, and takes
traffic when that is done: the wake is over by then. The other takes traffic at once, and its first visitors pay.
"""

from harness.scenario import Burst, Scenario, Suspend, Variant, Warm, hang, latency_at_most, none
from harness.wake import profile

first, later = "filled before traffic", "filled by traffic"
burst = Burst(100, over_s=5)

SCENARIO = Scenario(
    name="warm_start",
    wake=profile("neon", latency_s=4.0),
    pools=("5+0", "10+5"),
    timeline=(Suspend(), burst),
    variants=(
        Variant(first, timeline=(Suspend(), Warm(), burst)),
        Variant(later, timeline=(Suspend(), burst)),
    ),
    connect_time_s=0.02,
    control=False,
    expect={
        pool: (
            none("failure"),
            latency_at_most(1.0).in_variant(first),
            hang(50, longer_than_s=1.0).in_variant(later),
        )
        for pool in ("5+0", "10+5")
    },
)
