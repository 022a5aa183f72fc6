"""Behind PgBouncer: a burst into a wake of 8 s, with a pooler between the service and the database that sleeps.

A client is connected to PgBouncer at once, asleep or not, and its first statement waits for the wake instead. With
PgBouncer's defaults nothing fails. A query_wait_timeout shorter than the wake disconnects who waits. When a login
fails, because server_connect_timeout is shorter than the wake, no other is tried for the server_login_retry of 15 s:
who waits goes on waiting and who comes is disconnected, long after the database is awake. 1 s does not miss the wake.
"""

from harness.scenario import (
    Burst, PgBouncer, Scenario, Suspend, Variant, Warm, at_least, at_most, error, none,
)  # fmt: skip
from harness.wake import profile

without, session, transaction = "no pooler", "session mode", "transaction mode"
impatient, quick, fixed = "query_wait_timeout=3", "server_connect_timeout=5", "and server_login_retry=1"
pgbouncers = {
    session: PgBouncer(mode="session"),
    transaction: PgBouncer(mode="transaction"),
    impatient: PgBouncer(mode="transaction", query_wait_timeout_s=3.0),
    quick: PgBouncer(mode="transaction", server_connect_timeout_s=5.0),
    fixed: PgBouncer(mode="transaction", server_connect_timeout_s=5.0, server_login_retry_s=1.0),
}

SCENARIO = Scenario(
    name="behind_pgbouncer",
    wake=profile("neon", latency_s=8.0),
    pools=("10+5",),
    timeline=(Warm(), Suspend(), Burst(200, over_s=20)),
    variants=(Variant(without), *(Variant(name, pooler=pooler) for name, pooler in pgbouncers.items())),
    control=False,
    expect={
        "10+5": (
            *(none("failure").in_variant(name) for name in (without, session, transaction, fixed)),
            at_least("connection_lost", count=20).in_variant(impatient),
            at_least("connection_lost", count=50).in_variant(quick),
            error("ConnectionDoesNotExistError", count=50).in_variant(quick),
            at_most("ok", count=100).in_variant(quick),
        )
    },
)
