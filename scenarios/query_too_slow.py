"""Query too slow: one statement in ten takes 20 s; who ends it, asyncpg's command_timeout or PostgreSQL itself?

DATABASE_STATEMENT_TIMEOUT is asyncpg's command_timeout: the client stops waiting and asks the server to cancel, on
a connection of its own. The request fails with the builtin TimeoutError. PostgreSQL's statement_timeout ends the
statement in the server; only then is it the QueryCanceledError that the reference's page names. Without either the
slow statements keep their connections for 20 s, and with 5+0 the others fail in the queue.
"""

from harness.scenario import Burst, RequestMix, Scenario, Warm, at_least, error, latency_at_most, none, pool
from harness.wake import profile

unlimited = pool("5+0", statement_timeout=0, name="no limit")
client = pool("5+0", statement_timeout=2, name="the client ends it")
server = pool("5+0", statement_timeout=0, server_statement_timeout=2, name="the server ends it")
default = pool("5+0", name="default")

SCENARIO = Scenario(
    name="query_too_slow",
    wake=profile("always-on"),
    pools=(unlimited, client, server, default),
    timeline=(Warm(), Burst(100, over_s=20, mix=RequestMix.of({"read_track": 9, "slow_query": 1}, hold_s=20.0))),
    expect={
        unlimited: (at_least("pool_timeout", count=5), none("statement_timeout")),
        client: (error("TimeoutError", count=5), none("pool_timeout"), latency_at_most(8)),
        server: (error("QueryCanceledError", count=5), none("pool_timeout"), latency_at_most(8)),
        default: at_least("statement_timeout", count=3),
    },
)
