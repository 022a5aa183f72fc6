"""The columns of a run's three tables, named once: everything that writes or reads a run uses these.

Times are seconds from the start of the trial's burst unless the name says otherwise; before it they are negative.
"""

from dataclasses import dataclass
from typing import Literal

type_names = Literal["int", "float", "text"]


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
    Column("outcome", "text", "What became of it"),
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

EVENT_NAMES: dict[str, str] = {
    "warmed": "The pool holds the connections the story begins with; detail: how many",
    "suspended": "The compute suspended",
    "slow": "From here on a round trip to the database takes longer; value_s: by how much",
    "burst_started": "The first arrival of a burst could come from here on; at_s is 0 for the first burst; "
    "detail: that moment in UTC, in real time",
    "first_attempt": "The first connection attempt after a suspend: the wake begins; value_s: how late it was detected",
    "woken": "The compute answers again; value_s: how long after the planned wake",
    "first_released": "The first held connection went on; value_s: how long after the planned wake",
    "last_released": "The last held connection went on; value_s: how long after the planned wake",
    "burst_ended": "The last request of a burst had ended",
    "listener_connected": "The queue listener listens; value_s: how long the attempt took; detail: which",
    "listener_heartbeat_failed": "Its heartbeat failed; value_s: how long that took; detail: the exception's name",
    "listener_disconnected": "It dropped its connection",
    "listener_reconnecting": "It will try to connect again; value_s: how long it waits before it does",
    "listener_connect_failed": "An attempt failed; value_s: how long it took; detail: which, the exception's name",
    "listener_notified": "It heard a notification; detail: the payload",
    "process_died": "A process of the stack ended unasked; detail: which",
    "aborted": "The run was stopped before its end",
}
"""Every event's name and what it means."""
