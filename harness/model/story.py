"""A story: what the database and the clients do, independent of the pool, as data."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import get_args

from harness.model.distribution import Constant, three_figures
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, MAX_INSTANCES, check_kind, check_number, check_whole
from harness.model.listener import QueueListener
from harness.model.retry import Retry
from harness.model.server import ConnectCost, IdleReaper, PgBouncer, ServerLimits
from harness.model.shape import RequestShape
from harness.model.timeline import Burst, Load, Suspend, TimelinePhase, Traffic, Warm
from harness.model.wake import WakeProfile

ALERT_SUSTAINED_S = 1.0


class OnDisconnect(StrEnum):
    """What the service does with a request whose client has gone."""

    FINISH = "finish"
    """It carries the request out, and nobody reads the answer: what Starlette and most frameworks do."""
    CANCEL = "cancel"
    """It cancels the request, wherever it is: in the pool's queue, or in the middle of a statement."""


SERVICE_PART = "COLDSTART_SERVICE_PART"
"""The environment variable in which a service finds its `ServicePart`, as JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePart:
    """What of a story the service under test must know."""

    shapes: tuple[RequestShape, ...] = ()
    on_disconnect: OnDisconnect = OnDisconnect.FINISH
    transaction_pooler: bool = False
    """Whether a pooler in transaction mode is in the path."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a trial plays. A scenario is a story with pools and expectations."""

    name: str
    wake: WakeProfile | tuple[WakeProfile, ...]
    timeline: tuple[TimelinePhase, ...]
    client_timeout_s: float = 120.0
    """How long a client waits for its answer before it gives up and disconnects."""
    on_disconnect: OnDisconnect = OnDisconnect.FINISH
    """What the service does with a request whose client has disconnected."""
    patience_s: float | None = None
    """How long an answer is worth having: one that comes later is ok, but too late. None: any answer is."""
    instances: int = 1
    """The number of instances of the service, each with its own pool; requests go to them in turn."""
    max_connections: int | None = None
    """How many connections the database accepts from all instances together; None: no limit."""
    server: ServerLimits = field(default_factory=ServerLimits)
    """Further limits of the database server."""
    connect_cost: ConnectCost | None = None
    """What a new connection costs while the database is awake; None: no more than the stack's own."""
    reaper: IdleReaper | None = None
    """What forgets idle connections between the service and the database; None: nothing."""
    pooler: PgBouncer | None = None
    """A connection pooler between the service and the database, one for all instances; None: none."""
    listener: QueueListener | None = None
    """Background work of the service, on a connection outside of the pool; None: none."""
    retry: Retry | None = None
    """What clients do when an answer is a failure; None: nothing."""
    alert_sustained_s: float = ALERT_SUSTAINED_S
    """How long checked_out / pool_size must be above 80 % for an alert."""
    service_time_s: float | None = None
    """How long a statement takes in the simulated database, unless the user gives or calibrates it."""
    connect_time_s: float | None = None
    """How long a new connection takes there, in the same way."""

    def __post_init__(self) -> None:
        where = f"scenario {self.name}"
        for phase in self.timeline:
            check_kind(phase, get_args(TimelinePhase), "is not a phase of a timeline", where=where)
        if not self.bursts:
            raise UserError("its timeline needs a burst", where=where)
        names = [shape.name for shape in self.shapes]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise UserError(f"two different request shapes have the name {twice}", where=where)
        check_whole("instances", self.instances, where=where, least=1, most=MAX_INSTANCES)
        if self.max_connections is not None:
            check_whole("max_connections", self.max_connections, where=where, least=1, most=MAX_CONNECTIONS)
        if self.pooler is not None:
            check_kind(self.pooler, (PgBouncer,), "is not a pooler", where=where)
        check_number("client_timeout_s", self.client_timeout_s, where=where, above_least=True)
        if self.on_disconnect not in set(OnDisconnect):
            raise UserError(f"no on_disconnect {self.on_disconnect!r}", where=where, allowed=", ".join(OnDisconnect))
        object.__setattr__(self, "on_disconnect", OnDisconnect(self.on_disconnect))
        if self.patience_s is not None:
            check_number("patience_s", self.patience_s, where=where, above_least=True)
        check_number("alert_sustained_s", self.alert_sustained_s, where=where)
        for name in ("service_time_s", "connect_time_s"):
            if (seconds := getattr(self, name)) is not None:
                check_number(name, seconds, where=where)

    @property
    def wakes(self) -> tuple[WakeProfile, ...]:
        return self.wake if isinstance(self.wake, tuple) else (self.wake,)

    @property
    def loads(self) -> tuple[Load, ...]:
        return tuple(phase for phase in self.timeline if isinstance(phase, Burst | Traffic))

    @property
    def bursts(self) -> tuple[Burst, ...]:
        """Every burst, those of a `Traffic` in the order in which they start."""
        return tuple(burst for load in self.loads for burst in load.bursts)

    @property
    def warmed(self) -> int:
        """The most connections that a warm phase states: a pool must be able to hold them."""
        return max((phase.opens or 0 for phase in self.timeline if isinstance(phase, Warm)), default=0)

    @property
    def phases(self) -> Iterator[TimelinePhase]:
        """Every phase of the timeline, and those that come at a moment of a `Traffic`."""
        for phase in self.timeline:
            yield phase
            if isinstance(phase, Traffic):
                yield from (at.phase for at in phase.moments)

    @property
    def shapes(self) -> tuple[RequestShape, ...]:
        """Every kind of request that the story describes, once each."""
        return tuple(dict.fromkeys(shape for burst in self.bursts for shape in burst.mix.shapes))

    @property
    def service_part(self) -> ServicePart:
        in_transaction_mode = self.pooler is not None and self.pooler.mode == "transaction"
        return ServicePart(shapes=self.shapes, on_disconnect=self.on_disconnect, transaction_pooler=in_transaction_mode)

    @property
    def suspends_by_itself(self) -> bool:
        """Whether the compute suspends after its idle time: the timeline has no `Suspend`."""
        return not any(isinstance(phase, Suspend) for phase in self.phases)

    @property
    def can_sleep(self) -> bool:
        """Whether the compute can suspend with any of the wakes; if not, no control is needed."""
        return any(wake.can_sleep for wake in self.wakes)

    def wake_label(self, wake: WakeProfile, latency_s: float) -> str:
        """A label for a wake of this story, different from those of its other wakes."""
        if not wake.can_sleep:
            return "always awake"
        # A given latency is printed exactly, a drawn one with three figures; never with an exponent.
        exact = isinstance(wake.latency, Constant)
        label = f"wake {latency_s:.12g} s" if exact else f"wake {three_figures(latency_s)} s"
        same = [other for other in self.wakes if other.latency == wake.latency]
        differing = [
            value.value if isinstance(value, StrEnum) else str(value)
            for name in ("name", "on_suspend", "while_waking")
            for value in [getattr(wake, name)]
            if len({getattr(other, name) for other in same}) > 1
        ]
        return ", ".join([label, *differing])
