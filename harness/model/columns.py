"""The columns of a run's three tables, named once: everything that writes or reads a run uses these.

Times are seconds from the start of the trial's burst unless the name says otherwise; before it they are negative.
"""

from dataclasses import dataclass
from typing import Literal

from harness.model.outcomes import Outcome

type_names = Literal["int", "float", "text", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name (with its unit), its type, whether it can be empty, and what it means."""

    name: str
    type: type_names
    meaning: str
    nullable: bool = False


TRIAL = Column("trial", "int", "The trial's number in the manifest")

REQUESTS: tuple[Column, ...] = (
    TRIAL,
    Column("number", "int", "The arrival's number in the schedule: the same number is the same arrival in every trial"),
    Column("request", "text", "What was asked for"),
    Column("arrival_s", "float", "When the request was meant to start"),
    Column("start_s", "float", "When the load generator really started it"),
    Column("end_s", "float", "When its answer was complete, or the load generator gave up"),
    Column("latency_s", "float", "end_s - arrival_s: counted from the intended start"),
    Column("outcome", "text", "What became of it: one of the outcomes below"),
    Column("error", "text", "The exception's name where the outcome is not ok", nullable=True),
    Column("status", "int", "The HTTP status; empty without an answer, and on the simulated stack", nullable=True),
    Column("checkout_s", "float", "Time in the pool's queue", nullable=True),
    Column("connect_s", "float", "Time spent making a new connection", nullable=True),
    Column("ping_s", "float", "Time spent in the pre-ping", nullable=True),
    Column("query_s", "float", "Time spent in statements", nullable=True),
    Column("idle_s", "float", "How long its connection had been idle in the pool; empty: a new one", nullable=True),
    Column("attempts", "int", "How often the client asked; the row is its last try's", nullable=True),
)

POOL: tuple[Column, ...] = (
    TRIAL,
    Column("at_s", "float", "When the sample was taken"),
    Column("size", "int", "Connections the pool holds now: idle, checked out, or being made"),
    Column("idle", "int", "Connections in the pool, ready for use (OpenTelemetry: db.client.connection.count, idle)"),
    Column("checked_out", "int", "Slots in use, those still connecting included (db.client.connection.count, used)"),
    Column("overflow", "int", "Connections beyond pool_size; never negative"),
    Column("connecting", "int", "Slots whose connection is being made"),
    Column("waiting", "int", "Requests in the pool's queue (db.client.connection.pending_requests)"),
    Column("instance", "int", "Whose pool it is: the service's instance, from 0", nullable=True),
)

EVENTS: tuple[Column, ...] = (
    TRIAL,
    Column("at_s", "float", "When it happened"),
    Column("event", "text", "What happened; the list is in results/README.md"),
    Column("value_s", "float", "The duration that goes with it, where there is one", nullable=True),
    Column("detail", "text", "The rest of it, as JSON", nullable=True),
)

SUMMARY: tuple[Column, ...] = (
    TRIAL,
    Column("seed", "int", "What the arrivals and the wake were drawn from"),
    Column("control", "bool", "The same arrivals with the compute awake"),
    Column("variant", "text", "The story's variant", nullable=True),
    Column("wake_profile", "text", "The wake profile's name; empty: a control, as the next three", nullable=True),
    Column("wake_latency_s", "float", "Of the first wake", nullable=True),
    Column(
        "wake_on_suspend",
        "text",
        "What happened to open connections: close, terminate, reset, freeze or keep",
        nullable=True,
    ),
    Column("wake_while_waking", "text", "What a new connection met: hold, drop, refuse or error", nullable=True),
    Column("pool_size", "int", "Connections the pool keeps"),
    Column("max_overflow", "int", "Connections it makes beyond them"),
    Column("pool_timeout_s", "float", "How long a request waits in the pool's queue"),
    Column("connection_timeout_s", "float", "How long connecting may take; 0: no limit"),
    Column("statement_timeout_s", "float", "How long a statement may take, by asyncpg's count; 0: no limit"),
    Column("pool_recycle_s", "float", "The age at which a connection is replaced before it is used"),
    Column("pool_pre_ping", "bool", "Whether a connection is tried before it is used"),
    Column("use_lifo", "bool", "Whether the connection used last is used first"),
    Column("server_statement_timeout_s", "float", "PostgreSQL's own statement_timeout; 0: no limit"),
    Column("requests", "int", "Requests that ended"),
    Column("failed", "int", "Those that did not end ok"),
    *(Column(outcome.value, "int", outcome.meaning) for outcome in Outcome),
    Column("exhaustion", "float", "pool_timeout as a share of the requests"),
    Column(
        "latency_p50_s", "float", "Latency of all requests since their arrival: the median, and so on", nullable=True
    ),
    Column("latency_p95_s", "float", "95th percentile", nullable=True),
    Column("latency_p99_s", "float", "99th percentile", nullable=True),
    Column("latency_max_s", "float", "The longest", nullable=True),
    Column("checkout_wait_p50_s", "float", "Time in the pool's queue: the median, and so on", nullable=True),
    Column("checkout_wait_p95_s", "float", "95th percentile", nullable=True),
    Column("checkout_wait_max_s", "float", "The longest", nullable=True),
    Column("peak_checked_out", "int", "Most slots in use at a time"),
    Column("peak_waiting", "int", "Most requests in the queue at a time"),
    Column("woke_after_s", "float", "When the compute answered again", nullable=True),
    Column(
        "recovered_after_s",
        "float",
        "The first moment after it at which nobody waits and no connection is being made",
        nullable=True,
    ),
    Column("utilization_alert_s", "float", "When an alert on 80 % of the pool in use would have come", nullable=True),
    Column("first_failure_s", "float", "When the first failure was answered", nullable=True),
    Column(
        "alert_lead_s", "float", "How long before the first failure that alert came; negative: after it", nullable=True
    ),
    Column("attempts", "int", "What the service was asked in all, retries included"),
    Column("wakes", "int", "How often the compute woke"),
    Column("awake_s", "float", "How long the compute was awake", nullable=True),
    Column("live_after", "int", "Connections the pool holds at the end", nullable=True),
    Column(
        "idle_p95_s",
        "float",
        "Of the connections given out: how long they had been idle, 95th percentile",
        nullable=True,
    ),
    Column("late_start_p99_s", "float", "How late the load generator started requests: 99th percentile", nullable=True),
    Column("late_start_max_s", "float", "The longest", nullable=True),
    Column("kept_schedule", "bool", "Whether the load generator kept its schedule: if not, it is no measurement"),
    Column("complete", "bool", "Whether every scheduled request ended"),
    Column("wall_s", "float", "How long the trial took, by the clock on the wall"),
)
