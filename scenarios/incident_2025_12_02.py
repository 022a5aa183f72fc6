"""2025-12-02: five quiet minutes, then a database that nobody reached for 275 s; five visitors, then everyone.

Zero is 01:55:56, the first visitor; the others of the five came 45 and 104 s later, everybody else from 107 s on, a
request a second. The listener's reconnect at 01:55:19, 37 s before, starts the wake. The machine had gone without a
word: the pool's connections are half-open and connection requests get no answer. A ping on a half-open connection
ends when the kernel sends it again to a machine that is back and knows nothing of it; a connect ends at psycopg's 130 s
for one address and gets through at one of the next address's requests.

Assumed, because nobody recorded it: two of the pool's five connections were older than pool_recycle, so that the
second and the fifth visitor connect while the others ping; the host has three addresses; the wake is over 237.6 s
after the first visitor (237.2 to 238.1 s fit all five). The service runs psycopg, and its code sets the timeouts for
asyncpg only: that night, and after the fix.

Not on compose: the real Toxiproxy can't leave a connection request unanswered.
"""

from harness.scenario import (
    Burst, Idle, QueueListener, RealTime, Scenario, Suspend, TrialSummary, Warm, at_least, hang, latency_at_most,
    pool, that,
)  # fmt: skip
from harness.wake import profile

that_night = pool("5+0", driver="psycopg", pool_timeout=30, connection_timeout=0, name="that night")
the_fix_as_it_ran = pool("10+5", driver="psycopg", pool_timeout=30, connection_timeout=0, name="the fix as it ran")
the_fix_applied = pool("10+5", driver="psycopg", pool_timeout=10, connection_timeout=10, name="the fix applied")
the_fix_on_asyncpg = pool("10+5", pool_timeout=10, connection_timeout=10, name="the fix on asyncpg")
only_the_queue = pool("5+0", driver="psycopg", pool_timeout=10, connection_timeout=0, name="only the queue")
only_connecting = pool("5+0", driver="psycopg", pool_timeout=30, connection_timeout=10, name="only connecting")

five = (0.0, 45.0, 104.0, 104.0, 104.0)
everyone = tuple(float(second) for second in range(107, 194))
recorded_s = (333.9, 198.5, 213.5, 213.4, 134.2)


def near_the_record(trial: TrialSummary) -> bool:
    """Each of the five hangs as long as it did, to 1.5 s."""
    hung = trial.latencies_s[:5]
    return all(abs(played - real) <= 1.5 for played, real in zip(hung, recorded_s, strict=True))


def beside_the_record(trial: TrialSummary) -> str:
    hung = trial.latencies_s[:5]
    return ", ".join(f"{played:.1f} ({real:.1f})" for played, real in zip(hung, recorded_s, strict=True)) + " s"


def connected_at_s(trial: TrialSummary) -> float:
    return next((at_s for event, at_s, _ in trial.listener if event == "listener_connected" and at_s > 0), 0.0)


def listener_back(trial: TrialSummary) -> bool:
    return 245 <= connected_at_s(trial) <= 251


def its_time(trial: TrialSummary) -> str:
    return f"after {connected_at_s(trial):.0f} s (248: 02:00:04)"


SCENARIO = Scenario(
    name="incident_2025_12_02",
    wake=profile("neon-outage"),
    pools=(that_night, the_fix_as_it_ran, the_fix_applied, the_fix_on_asyncpg, only_the_queue, only_connecting),
    # The ages of the pool's connections when the traffic ends, in the order in which it gives them out.
    timeline=(Warm(ages_s=(60, 6900, 60, 60, 6900)), Idle(297), Suspend(), Idle(45), Burst.at(*five, *everyone)),
    listener=QueueListener(),
    client_timeout_s=600,
    control=False,
    expect={
        that_night: (
            that("each of the five hangs as long as recorded, to 1.5 s", near_the_record, shows=beside_the_record),
            at_least("pool_timeout", count=87),
            that("the listener connects 245 to 251 s after the first visitor", listener_back, shows=its_time),
        ),
        # On psycopg the fix was ten more slots, which hang as the five do: everyone else fails all the same.
        the_fix_as_it_ran: (hang(15, longer_than_s=60), at_least("pool_timeout", count=60)),
        # Had its timeouts applied: 10 s for each of three addresses, and none for a ping on a half-open connection.
        the_fix_applied: (hang(3, longer_than_s=200), at_least("connect_timeout", count=40)),
        # With the driver that they were written for nothing is saved either; but nobody waits longer than 12 s.
        the_fix_on_asyncpg: (at_least("connect_timeout", count=80), latency_at_most(12.5)),
        # They fail sooner, and no fewer of them.
        only_the_queue: (hang(5, longer_than_s=120), at_least("pool_timeout", count=87)),
        only_connecting: (hang(3, longer_than_s=200), at_least("pool_timeout", count=70)),
    },
    real_time=RealTime(
        "the five quiet minutes are 2 s and the 275 s are 40 s; the visitors come within 20 s, timeouts are a fifth; "
        "every connection of the pool is young",
        wake=profile("neon-outage", latency_s=40.0),
        pools=(
            pool("5+0", driver="psycopg", pool_timeout=6, connection_timeout=0, name="that night"),
            pool("10+5", driver="psycopg", pool_timeout=2, connection_timeout=2, name="the fix applied"),
        ),
        timeline=(
            Warm(),
            Idle(2),
            Suspend(),
            Idle(6),
            Burst.at(0.0, 4.0, 10.0, 10.0, 10.0, *(10.5 + tenth / 5 for tenth in range(50))),
        ),
        listener=QueueListener(heartbeat_every_s=0.5, heartbeat_limit_s=0.5, backoff_first_s=2),
        expect={
            pool("5+0", driver="psycopg", pool_timeout=6, connection_timeout=0): (
                # 53 s and 27 s: the kernel's ninth and eighth retransmission is the first after the wake.
                hang(5, longer_than_s=25),
                at_least("pool_timeout", count=50),
            ),
            # A ping has no limit here either: ten connections hang, and five connect in vain, 2 s each.
            pool("10+5", driver="psycopg", pool_timeout=2, connection_timeout=2): (
                hang(10, longer_than_s=25),
                at_least("connect_timeout", count=20),
            ),
        },
    ),
)
