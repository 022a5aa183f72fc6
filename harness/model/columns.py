"""The columns of a run's three tables, for everything that writes or reads a run.

Times are seconds from the start of the trial's burst unless the name says otherwise; before it they are negative.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

TypeName: TypeAlias = Literal["int", "float", "text", "bool"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name (with its unit), its type, whether it can be empty, and what it means."""

    name: str
    type: TypeName
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
    Column(
        "query_s",
        "float",
        "Time with a connection: statements, and what the request waits for meanwhile",
        nullable=True,
    ),
    Column("idle_s", "float", "How long its connection had been idle in the pool; empty: a new one", nullable=True),
    Column("attempts", "int", "How often the client asked; the row is its last try's", nullable=True),
    Column("burst", "int", "The burst it belongs to: the number in the timeline, from 0", nullable=True),
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
    Column("connects", "int", "Connections made until now", nullable=True),
    Column("connects_failed", "int", "Connections until now that could not be made", nullable=True),
    Column("pings_failed", "int", "Pre-pings that failed until now", nullable=True),
)

EVENTS: tuple[Column, ...] = (
    TRIAL,
    Column("at_s", "float", "When it happened"),
    Column("event", "text", "What happened; the list is in results/README.md"),
    Column("value_s", "float", "The duration that goes with it, where there is one", nullable=True),
    Column("detail", "text", "The rest of it, as JSON", nullable=True),
)

TRIALS: tuple[Column, ...] = (
    TRIAL,
    Column("seed", "int", "What the arrivals and the wake were drawn from"),
    Column("control", "bool", "The same arrivals with the compute awake"),
    Column("variant", "text", "The story's variant", nullable=True),
    Column("wake_profile", "text", "The wake profile's name; empty: a control, as the next three", nullable=True),
    Column("wake_latency_s", "float", "Of the first wake", nullable=True),
    Column(
        "wake_on_suspend",
        "text",
        "What happened to open connections: close, terminate, reset, freeze, vanish or keep",
        nullable=True,
    ),
    Column("wake_while_waking", "text", "What a new connection met: hold, drop, refuse or error", nullable=True),
)
"""The first columns of summary.csv, which describe the trial; harness/model/summary.py has all of them."""
