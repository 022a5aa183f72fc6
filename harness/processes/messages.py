"""What the processes of the harness write to each other: every message, one writer and two readers.

A parent sends commands on its child's stdin, a child sends records on its stdout; one message is one line of JSON.
msgspec reads them strictly: an unknown message or field, a missing field and a wrong type are all refused. (Of the
kept libraries it alone has tagged unions and decodes as fast as the load needs: a request is a record.)
"""

from typing import Any, Literal, TypeAlias

import msgspec

from harness.model.rows import ListenerEvent, PoolSample, RequestRow
from harness.processes.heard import LocustfileRefused, RequestHeard, UsersHeard
from harness.processes.message import Command, Record, decoded
from harness.processes.proxy_messages import AnyProxyEvent, ProxyEvent


class WarmPool(Command, frozen=True, kw_only=True):
    """To the service: open a connection for each age and use it once. Answered by `PoolWarmed` or `PoolNotWarmed`.

    The ages are those of `Warm` in harness/model/timeline.py, in seconds.
    """

    ages_s: tuple[float, ...]


class ReplacePool(Command, frozen=True, kw_only=True):
    """To the service: take a new, empty pool, and close the old one when its last request has ended. Answered by
    `PoolReplaced`."""


class ReportCpu(Command, frozen=True, kw_only=True):
    """To an application: how long has it computed? Answered by `CpuReported`."""


class StartBurst(Command, frozen=True, kw_only=True):
    """To Locust: drive this burst. Answered by `BurstFinished`, after a `RequestEnded` for every request."""

    at_s: float
    """When it starts, on the monotonic clock."""
    share: dict[str, Any]
    """A `LoadShare`, as harness/converter.py writes it."""
    urls: tuple[str, ...] = ()
    """The service's instances: the requests go to them in turn, by their numbers; none: Locust's own host."""


class BeginStory(Command, frozen=True, kw_only=True):
    """To what plays a story for Locust's own command line. Answered by `BurstPlanned` for every burst of it, and
    `StoryPlayed` at its end."""


class BurstDriven(Command, frozen=True, kw_only=True):
    """To the same: every request of the burst that was planned has ended."""

    at_s: float


class PlayTrial(Command, frozen=True, kw_only=True):
    """To a simulator. Answered by `RowsPlayed` as often as it takes and `TrialPlayed`, or by `TrialRefused`."""

    trial: dict[str, Any]
    """A `Trial`, as harness/converter.py writes it."""
    times: dict[str, Any]
    """The `Times` of its database, likewise."""
    sampled: bool
    """Whether the pool's timeline is wanted."""


class PlayApplication(Command, frozen=True, kw_only=True):
    """To the simulator of an application, in its own environment. Answered as `PlayTrial`."""

    play: str
    """A `harness.guest.orders.Play`, as text."""


class ServePgBouncer(Command, frozen=True, kw_only=True):
    """To what supervises a PgBouncer: start it. Answered by `PgBouncerReady`."""

    pooler: dict[str, Any]
    """A `PgBouncer`, likewise."""
    host: str
    """Where its server is, as the next four."""
    port: int
    user: str
    password: str
    """Here and not in the arguments or the environment, which others can read."""
    database: str


class ServiceReady(Record, frozen=True, kw_only=True):
    """The service under test answers on this port of loopback."""

    port: int


class ApplicationDescribed(Record, frozen=True, kw_only=True):
    document: str
    """OpenAPI's, in JSON."""


class PoolWarmed(Record, frozen=True, kw_only=True):
    at_s: float
    connections: int


class PoolNotWarmed(Record, frozen=True, kw_only=True):
    error: str


class PoolRefused(Record, frozen=True, kw_only=True):
    """An application's pool is not the trial's, for a reason that its user can mend: the fields of a `UserError`."""

    what: str
    where: str | None
    allowed: str | None


class PoolReplaced(Record, frozen=True, kw_only=True):
    """New requests have the new pool."""


class CpuReported(Record, frozen=True, kw_only=True):
    cpu_s: float
    """Of the whole process, since it was started."""
    checked_out_at_cpu_s: float | None = None
    """What `cpu_s` was when a connection was checked out for the first time since the last report; None: none was."""
    held_cpu_s: float = 0.0
    """How much of `cpu_s` was spent since the last report while a connection was checked out."""


class PoolSampled(Record, frozen=True, kw_only=True):
    sample: PoolSample


class LoopStalled(Record, frozen=True, kw_only=True):
    """From the service, an application or Locust: its loop stood still (harness/heartbeat.py)."""

    at_s: float
    """Since when, on the monotonic clock."""
    for_s: float


class ListenerReported(Record, frozen=True, kw_only=True):
    """Something happened to the service's queue listener."""

    event: ListenerEvent


class MasterListening(Record, frozen=True, kw_only=True):
    """Locust's master expects its workers on this port of loopback."""

    port: int


class LoadReady(Record, frozen=True, kw_only=True):
    """Every Locust process waits for a burst."""


class RequestEnded(Record, frozen=True, kw_only=True):
    row: RequestRow


class BurstFinished(Record, frozen=True, kw_only=True):
    """Every request of the burst has ended."""

    at_s: float


class SimulatorReady(Record, frozen=True, kw_only=True):
    """A simulator has loaded what it needs."""


PlayedTable: TypeAlias = Literal["requests", "pool", "events"]


class RowsPlayed(Record, frozen=True, kw_only=True):
    """Some of the rows of the trial that was asked for, by the columns of harness/model/columns.py."""

    table: PlayedTable
    rows: list[dict[str, Any]]


class TrialPlayed(Record, frozen=True, kw_only=True):
    """All rows of the trial have been written."""

    marks: dict[str, int] = msgspec.field(default_factory=dict)
    """What an application did that can't be played in virtual time, and how often."""


class TrialRefused(Record, frozen=True, kw_only=True):
    """The trial can't be played, for a reason that its user can mend: the fields of a `UserError`."""

    what: str
    where: str | None
    allowed: str | None


class ProxyReady(Record, frozen=True, kw_only=True):
    """The proxy server's API answers on this port of loopback."""

    port: int


class PostgresReady(Record, frozen=True, kw_only=True):
    """Embedded PostgreSQL accepts connections."""

    host: str
    port: int
    user: str
    password: str
    database: str
    version: str
    pid: int
    is_new: bool = True
    """Whether its data was made just now."""


class PgBouncerReady(Record, frozen=True, kw_only=True):
    """PgBouncer accepts connections on this port of loopback."""

    port: int
    pid: int


class ContainersReady(Record, frozen=True, kw_only=True):
    """The containers of a compose run are healthy."""

    postgres: int
    """Its port on loopback, as the next one."""
    toxiproxy: int
    proxies: dict[int, int]
    """Of each port in Toxiproxy's container, the one on loopback."""
    container: str
    """PostgreSQL's, by its id."""
    password: str


class StackReady(Record, frozen=True, kw_only=True):
    """What plays a story for Locust's own command line is ready."""

    url: str | None
    """Where the service answers; None: it is not ours."""


class BurstPlanned(Record, frozen=True, kw_only=True):
    """This burst is to be driven. Answered by `BurstDriven`."""

    at_s: float
    """When it starts, on the monotonic clock."""
    share: dict[str, Any]
    """A `LoadShare`, likewise."""
    urls: tuple[str, ...]
    """The service's instances; none: Locust's own host."""


class StoryPlayed(Record, frozen=True, kw_only=True):
    """The timeline is at its end."""


class StackFailed(Record, frozen=True, kw_only=True):
    """The stack could not start; its process ends."""

    error: str


class ProxyReported(Record, frozen=True, kw_only=True):
    event: AnyProxyEvent


AnyCommand: TypeAlias = (
    WarmPool
    | ReplacePool
    | ReportCpu
    | StartBurst
    | BeginStory
    | BurstDriven
    | PlayTrial
    | PlayApplication
    | ServePgBouncer
)
AnyRecord: TypeAlias = (
    ServiceReady | ApplicationDescribed | LocustfileRefused | RequestHeard | UsersHeard |
    PoolWarmed | PoolNotWarmed | PoolRefused | PoolReplaced | CpuReported |
    PoolSampled | LoopStalled | ListenerReported | MasterListening | LoadReady | RequestEnded | BurstFinished |
    SimulatorReady | RowsPlayed | TrialPlayed | TrialRefused | ProxyReady | PostgresReady | PgBouncerReady |
    ContainersReady | StackReady | BurstPlanned | StoryPlayed | StackFailed | ProxyReported
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_commands = msgspec.json.Decoder(AnyCommand)
_records = msgspec.json.Decoder(AnyRecord)


def to_line(message: Command | Record | ProxyEvent) -> bytes:
    """A message as a line of JSON, its end included."""
    return _encoder.encode(message) + b"\n"


def command_from(line: bytes) -> AnyCommand:
    """Raises `MalformedError`, and `UserError` for a share that a burst can't have."""
    command: AnyCommand = decoded(_commands, line)
    return command


def record_from(line: bytes) -> AnyRecord:
    """Raises `MalformedError`."""
    record: AnyRecord = decoded(_records, line)
    return record
