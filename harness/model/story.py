"""A story: what the database and the clients do, independent of the pool, as data."""

from dataclasses import dataclass
from enum import StrEnum

from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, MAX_INSTANCES, check_number, check_whole
from harness.model.listener import QueueListener
from harness.model.retry import Retry
from harness.model.timeline import Burst, Suspend, TimelinePhase
from harness.model.wake import Constant, WakeProfile, three_figures

ALERT_SUSTAINED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a trial plays. A scenario is a story with pools and expectations."""

    name: str
    wake: WakeProfile | tuple[WakeProfile, ...]
    timeline: tuple[TimelinePhase, ...]
    client_timeout_s: float = 120.0
    """How long a client waits for its answer before it gives up."""
    instances: int = 1
    """The number of instances of the service, each with its own pool; requests go to them in turn."""
    max_connections: int | None = None
    """How many connections the database accepts from all instances together; None: no limit."""
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
        if not self.bursts:
            raise UserError("its timeline needs a burst", where=f"scenario {self.name}")
        where = f"scenario {self.name}"
        check_whole("instances", self.instances, where=where, least=1, most=MAX_INSTANCES)
        if self.max_connections is not None:
            check_whole("max_connections", self.max_connections, where=where, least=1, most=MAX_CONNECTIONS)
        check_number("client_timeout_s", self.client_timeout_s, where=where, above_least=True)
        check_number("alert_sustained_s", self.alert_sustained_s, where=where)
        for name in ("service_time_s", "connect_time_s"):
            if (seconds := getattr(self, name)) is not None:
                check_number(name, seconds, where=where)

    @property
    def wakes(self) -> tuple[WakeProfile, ...]:
        return self.wake if isinstance(self.wake, tuple) else (self.wake,)

    @property
    def bursts(self) -> tuple[Burst, ...]:
        return tuple(phase for phase in self.timeline if isinstance(phase, Burst))

    @property
    def suspends_by_itself(self) -> bool:
        """Whether the compute suspends after its idle time: the timeline has no `Suspend`."""
        return not any(isinstance(phase, Suspend) for phase in self.timeline)

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
