"""The smallest cold start that has every phase: requests while it is awake, a suspend, a burst over the wake."""

from harness.scenario import Burst, Scenario, Suspend, Warm
from harness.wake import profile

SCENARIO = Scenario(
    name="drill",
    wake=profile("neon", latency_s=0.6),
    pools=("2+0", "3+1"),
    timeline=(
        Warm(),
        Burst(requests=6, over_s=0.3, arrivals="even"),
        Suspend(),
        Burst(requests=24, over_s=0.8, arrivals="even"),
    ),
    client_timeout_s=5.0,
    control=False,
)
