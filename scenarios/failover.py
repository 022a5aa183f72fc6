"""Failover: a standby takes the address over in 15 s; open connections go silent, and new ones get no answer.

What a pool holds is dead without anybody being told. How long each dead connection costs a request is the driver's
timeout for a statement: the ping waits for it first. New connections get through with the first retransmission after
the standby answers.
"""

from harness.scenario import At, Burst, Outage, Scenario, Traffic, Warm, at_least, none, pool
from harness.wake import profile

usual = pool("10+5", name="usual")
quick = pool("10+5", statement_timeout=2, connection_timeout=5, pool_timeout=5, name="quick")
patient = pool("10+5", statement_timeout=2, connection_timeout=30, name="patient")

SCENARIO = Scenario(
    name="failover",
    wake=profile("always-on"),
    pools=(usual, quick, patient),
    timeline=(Warm(), Traffic(Burst.rate(5, for_s=40, arrivals="even"), At(5, Outage.failover(15)))),
    expect={
        usual: at_least("connection_lost", count=5),
        # Sooner answers, and more of them are failures: a connect of 5 s can't outlast the failover.
        quick: at_least("connect_timeout", count=20),
        patient: (none("connect_timeout"), none("pool_timeout")),
    },
)
