"""A story: what the database does and what the clients do, whichever pool meets it. Data alone, ready to be played."""

from dataclasses import dataclass
from enum import StrEnum

from harness.model.errors import UserError
from harness.model.limits import MOST_CONNECTIONS, MOST_INSTANCES, check_number, check_whole
from harness.model.listener import QueueListener
from harness.model.retry import Retry
from harness.model.timeline import Burst, Suspend, TimelinePhase
from harness.model.wake import Constant, WakeProfile, three_figures

ALERT_SUSTAINED_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """What a trial plays. A scenario is a story with the pools that are to meet it and what is expected of them."""

    name: str
    wake: WakeProfile | tuple[WakeProfile, ...]
    timeline: tuple[TimelinePhase, ...]
    client_timeout_s: float = 120.0
    """How long a client waits for its answer before it gives up."""
    instances: int = 1
    """How many instances of the service there are, each with a pool; requests go to them in turn."""
    max_connections: int | None = None
    """How many connections the database gives them all together; None: as many as they ask for."""
    listener: QueueListener | None = None
    """Background work of the service, with a connection of its own that is not the pool's."""
    retry: Retry | None = None
    """What clients do when an answer is a failure; None: nothing."""
    alert_sustained_s: float = ALERT_SUSTAINED_S
    """How long checked_out / pool_size must be above 80 % for an alert."""
    service_time_s: float | None = None
    """What a statement takes in the simulated database, unless it is given or calibrated."""
    connect_time_s: float | None = None
    """What a new connection takes there."""

    def __post_init__(self) -> None:
        if not self.bursts:
            raise UserError("its timeline needs a burst", where=f"scenario {self.name}")
        where = f"scenario {self.name}"
        check_whole("instances", self.instances, where=where, least=1, most=MOST_INSTANCES)
        if self.max_connections is not None:
            check_whole("max_connections", self.max_connections, where=where, least=1, most=MOST_CONNECTIONS)
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
        """Whether the story waits for the suspend rather than commanding it."""
        return not any(isinstance(phase, Suspend) for phase in self.timeline)

    @property
    def can_sleep(self) -> bool:
        """Whether its compute can suspend at all; what never sleeps needs no control."""
        return any(wake.can_sleep for wake in self.wakes)

    def wake_label(self, wake: WakeProfile, latency_s: float) -> str:
        """A wake of this story in words that tell it from the others."""
        if not wake.can_sleep:
            return "always awake"
        # What the story gives is printed exactly, what was drawn to three figures; never with an exponent.
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
