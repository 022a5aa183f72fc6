"""Idle reaper: a load balancer forgets connections after 5 s without traffic, while the database is awake.

With RST a pre-ping finds out at once and connects anew. Forgotten silently, the ping waits for the whole
statement_timeout: the visitor who comes after a quiet spell waits, and is told that the connection died. A
pool_recycle below the balancer's limit never meets it.
"""

from harness.scenario import Burst, IdleReaper, RequestMix, Scenario, Variant, Warm, at_least, none, pool
from harness.wake import profile

usual = pool("2+0", statement_timeout=3, name="usual")
recycling = pool("2+0", statement_timeout=3, pool_recycle=4, name="recycling")

SCENARIO = Scenario(
    name="idle_reaper",
    wake=profile("always-on"),
    pools=(usual, recycling),
    timeline=(Warm(), Burst.at(6, 18, 30, mix=RequestMix.of({"read_track": 1}))),
    variants=(
        Variant("with RST", reaper=IdleReaper(after_s=5)),
        Variant("silently", reaper=IdleReaper(after_s=5, silently=True)),
    ),
    expect={
        usual: (none("failure").in_variant("with RST"), at_least("connection_lost", count=2).in_variant("silently")),
        recycling: none("failure"),
    },
)
