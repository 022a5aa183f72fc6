"""Stale after a suspend: pre-ping on and off, against connections that were closed, reset, or froze.

Where the suspend closes or resets a connection, the ping fails at once and the request waits for a new one. Where it
froze, nothing tells: the ping waits for statement_timeout, and the request that asked fails in spite of pre-ping.
Not on compose: the real Toxiproxy can't reset an idle connection.
"""

from harness.scenario import Burst, Scenario, Suspend, Warm, at_least, none, pool
from harness.wake import profile

ping = pool("5+0", statement_timeout=5, name="with a ping")
no_ping = pool("5+0", statement_timeout=5, pool_pre_ping=False, name="without a ping")

SCENARIO = Scenario(
    name="stale_after_suspend",
    wake=tuple(profile("neon", latency_s=3.0, on_suspend=how) for how in ("close", "reset", "freeze")),
    pools=(ping, no_ping),
    timeline=(Warm(), Suspend(), Burst(60, over_s=10)),
    expect={
        ping: (
            none("failure").on_suspend("close"),
            none("failure").on_suspend("reset"),
            at_least("connection_lost", count=5).on_suspend("freeze"),
        ),
        no_ping: (
            at_least("connection_lost", count=1).on_suspend("close"),
            at_least("connection_lost", count=1).on_suspend("reset"),
            at_least("statement_timeout", count=5).on_suspend("freeze"),
        ),
    },
)
