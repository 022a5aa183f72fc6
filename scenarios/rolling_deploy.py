"""Rolling deploy: every instance gets an empty pool while traffic goes on, and connecting takes seconds.

Connecting costs 1.5 to 5.5 s, as it did on a night when a deploy opened its pools against a busy database. Every
request that comes while a pool is empty pays for a connect, or waits in the queue of those who do: that queue must be
more patient than a connect takes.
"""

from harness.scenario import (
    At, Burst, ConnectCost, Deploy, Scenario, Traffic, Uniform, Warm, at_least, hang, none, pool,
)  # fmt: skip
from harness.wake import profile

patient, impatient = pool("3+2"), pool("3+2", pool_timeout=1)

SCENARIO = Scenario(
    name="rolling_deploy",
    wake=profile("always-on"),
    pools=(patient, impatient, "10+5"),
    instances=3,
    connect_cost=ConnectCost(Uniform(1.5, 5.5)),
    timeline=(Warm(), Traffic(Burst.rate(30, for_s=24), At(4, Deploy(every_s=6)))),
    expect={
        patient: (none("failure"), hang(30, longer_than_s=1.5)),
        impatient: at_least("pool_timeout", count=25),
    },
)
