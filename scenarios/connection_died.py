"""Connection died: the database ends every pooled connection; what pre-ping sees, and what it can't.

The server restarts in no time: every idle connection ends with 57P01. With pre-ping the next checkout finds out and
makes a new one; without it, each connection that died costs the request that takes it.
"""

from harness.scenario import Burst, Scenario, Suspend, Warm, at_least, at_most, none, pool
from harness.wake import profile

ping, no_ping = pool("5+0"), pool("5+0", pool_pre_ping=False)

SCENARIO = Scenario(
    name="connection_died",
    wake=profile("neon", latency_s=0.0),
    pools=(ping, no_ping),
    timeline=(Warm(), Suspend(), Burst(100, over_s=5)),
    expect={
        ping: none("failure"),
        # SQLAlchemy finds one dead connection and throws the whole pool's away: fewer are lost than had died.
        no_ping: (at_least("connection_lost", count=1), at_most("connection_lost", count=5)),
    },
)
