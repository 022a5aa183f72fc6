"""A scenario: one story, as values. Building one does no I/O and imports neither locust nor gevent."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self, TypeAlias

from harness.model.arrivals import BROWSING, Arrival, Pattern, RequestMix, schedule
from harness.model.errors import UserError
from harness.model.expectation import Statement
from harness.model.limits import (
    MOST_CONNECTIONS,
    MOST_INSTANCES,
    MOST_REQUESTS,
    check_name,
    check_number,
    check_title,
    check_whole,
)
from harness.model.listener import QueueListener
from harness.model.pool import PoolConfiguration
from harness.model.retry import Retry
from harness.model.wake import Constant, WakeProfile, three_figures


@dataclass(frozen=True, slots=True)
class Warm:
    """The pool opens connections and uses each once; `connections` None means pool_size, 0 none at all."""

    connections: int | None = None

    def __post_init__(self) -> None:
        if self.connections is not None:
            check_whole("connections", self.connections, where="warm", most=MOST_CONNECTIONS)


@dataclass(frozen=True, slots=True)
class Suspend:
    """The compute suspends now, on command, as it would have after its idle time."""


@dataclass(frozen=True, slots=True)
class Idle:
    """No request for `for_s` seconds; the compute suspends by itself when its profile says so."""

    for_s: float

    def __post_init__(self) -> None:
        check_number("for_s", self.for_s, where="idle", above_least=True)


@dataclass(frozen=True, slots=True)
class Burst:
    """`requests` arrivals over `over_s` seconds, open-loop."""

    requests: int
    over_s: float
    arrivals: str = Pattern.POISSON
    mix: RequestMix = BROWSING
    given_s: tuple[float, ...] = ()
    """With the pattern `given`: when each request arrives, in seconds from the burst's start, in order."""

    @classmethod
    def at(cls, *given_s: float, mix: RequestMix = BROWSING) -> Self:
        """Requests at these moments."""
        return cls(len(given_s), max(given_s, default=0.0), Pattern.GIVEN, mix, tuple(float(one) for one in given_s))

    def __post_init__(self) -> None:
        check_whole("requests", self.requests, where="burst", least=1, most=MOST_REQUESTS)
        at_a_moment = self.arrivals in (Pattern.AT_ONCE, Pattern.GIVEN)
        check_number("over", self.over_s, where="burst", above_least=not at_a_moment)
        for moment_s in self.given_s:
            check_number("moments", moment_s, where="burst")
        if (self.arrivals == Pattern.GIVEN) != bool(self.given_s) or list(self.given_s) != sorted(self.given_s):
            raise UserError("the pattern `given` needs its moments, in order", where="burst")
        if self.given_s and (len(self.given_s) != self.requests or self.given_s[0] < 0):
            raise UserError(f"{self.requests} requests need as many moments, 0 or later", where="burst")
        if self.arrivals not in set(Pattern):
            raise UserError(f"no arrival pattern {self.arrivals!r}", where="burst", allowed=", ".join(Pattern))

    def schedule(self, seed: int) -> tuple[Arrival, ...]:
        """The arrivals of this burst, from the seed alone."""
        return schedule(
            requests=self.requests,
            over_s=self.over_s,
            pattern=Pattern(self.arrivals),
            mix=self.mix,
            seed=seed,
            given_s=self.given_s,
        )


@dataclass(frozen=True, slots=True)
class Slow:
    """From now on every round trip to the database takes `round_trip_s` longer; 0 ends it."""

    round_trip_s: float

    def __post_init__(self) -> None:
        check_number("round_trip_s", self.round_trip_s, where="slow")


ALERT_SUSTAINED_S = 1.0

TimelinePhase: TypeAlias = Warm | Suspend | Idle | Slow | Burst


def pool(short: str, **settings: float | bool) -> PoolConfiguration:
    """A pool configuration as a scenario writes it: `pool("5+0", pool_timeout=10)`."""
    return PoolConfiguration.from_short(short, where="pool").with_settings(
        {name: str(value) for name, value in settings.items()}, where="pool"
    )


@dataclass(frozen=True, slots=True, init=False)
class Variant:
    """The story told once more with something changed that is not a pool's: `Variant("with jitter", retry=…)`.

    The changes are fields of `Scenario`. Every pool configuration meets every variant.
    """

    name: str
    changes: Mapping[str, Any] = field(hash=False)

    def __init__(self, name: str, **changes: Any) -> None:  # noqa: ANN401 - fields of Scenario, each with its type
        check_title(name, where="variant")
        unknown = sorted(set(changes) - VARYING)
        if unknown:
            raise UserError(f"can't vary {unknown[0]}", where=f"variant {name}", allowed=", ".join(sorted(VARYING)))
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "changes", changes)


@dataclass(frozen=True, slots=True, init=False)
class RealTime:
    """How the story is shortened where time is real; `said` tells people, in the table and on the charts."""

    said: str
    changes: Mapping[str, Any] = field(hash=False)

    def __init__(self, said: str, **changes: Any) -> None:  # noqa: ANN401 - fields of Scenario, each with its type
        object.__setattr__(self, "said", said)
        object.__setattr__(self, "changes", changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One story: what the database does, what the clients do, which pools meet it, and what is expected."""

    name: str
    wake: WakeProfile | tuple[WakeProfile, ...]
    pools: tuple[PoolConfiguration | str, ...]
    timeline: tuple[TimelinePhase, ...]
    expect: Mapping[PoolConfiguration | str, Statement | tuple[Statement, ...]] | None = None
    client_timeout_s: float = 120.0
    """How long a client waits for its answer before it gives up."""
    instances: int = 1
    """How many instances of the service there are, each with a pool; requests go to them in turn."""
    max_connections: int | None = None
    """How many connections the database gives them all together; None: as many as they ask for."""
    listener: QueueListener | None = None
    """Background work of the service, beside the pool."""
    retry: Retry | None = None
    """What clients do when an answer is a failure; None: nothing."""
    control: bool = True
    """Whether the same arrivals are also played with the compute awake."""
    alert_sustained_s: float = ALERT_SUSTAINED_S
    """How long checked_out / pool_size must be above 80 % for an alert."""
    service_time_s: float | None = None
    """What a statement takes in the simulated database, unless it is given or calibrated."""
    connect_time_s: float | None = None
    """What a new connection takes there."""
    variants: tuple[Variant, ...] = ()
    variant: str = ""
    """Which variant this is; empty: the story itself."""
    real_time: RealTime | None = None
    shortened: str = ""
    """How the story was shortened for real time; empty: it was not."""
    story: str = ""
    """The scenario file's docstring; its first line is what `coldstart list` shows."""
    changed: tuple[str, ...] = ()
    """What a user asked differently from the file; the expectations speak of the file's own story only."""

    def __post_init__(self) -> None:
        # The run's folder is named for it.
        check_name(self.name, where="scenario")
        if not self.pools:
            raise UserError("needs at least one pool configuration", where=f"scenario {self.name}")
        if not any(isinstance(phase, Burst) for phase in self.timeline):
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
    def pool_configurations(self) -> tuple[PoolConfiguration, ...]:
        return tuple(_configuration(named) for named in self.pools)

    @property
    def wakes(self) -> tuple[WakeProfile, ...]:
        return self.wake if isinstance(self.wake, tuple) else (self.wake,)

    @property
    def bursts(self) -> tuple[Burst, ...]:
        return tuple(phase for phase in self.timeline if isinstance(phase, Burst))

    @property
    def stories(self) -> tuple[Self, ...]:
        """One for each variant; without any, this one."""
        return tuple(
            replace(self, **variant.changes, variants=(), variant=variant.name) for variant in self.variants
        ) or (self,)

    @property
    def suspends_by_itself(self) -> bool:
        """Whether the story waits for the suspend rather than commanding it."""
        return not any(isinstance(phase, Suspend) for phase in self.timeline)

    @property
    def can_sleep(self) -> bool:
        """Whether its compute can suspend at all; what never sleeps needs no control."""
        return any(wake.can_sleep for wake in self.wakes)

    def in_real_time(self) -> Self:
        """The story as it is played where time is real."""
        if self.real_time is None:
            return self
        return replace(self, **self.real_time.changes, real_time=None, shortened=self.real_time.said)

    def wake_label(self, wake: WakeProfile, latency_s: float) -> str:
        """A wake of this story in words that tell it from the others."""
        if not wake.can_sleep:
            return "always awake"
        # What the story gives is told exactly, what was drawn to three figures; never with an exponent.
        exact = isinstance(wake.latency, Constant)
        label = f"wake {latency_s:.12g} s" if exact else f"wake {three_figures(latency_s)} s"
        same = [other for other in self.wakes if other.latency == wake.latency]
        told = [
            value.value if isinstance(value, StrEnum) else str(value)
            for name in ("name", "on_suspend", "while_waking")
            for value in [getattr(wake, name)]
            if len({getattr(other, name) for other in same}) > 1
        ]
        return ", ".join([label, *told])

    def expectations(self) -> list[tuple[PoolConfiguration, Statement]]:
        """Each statement with the pool configuration it speaks of, in the file's order."""
        return [
            (_configuration(named), statement)
            for named, statements in (self.expect or {}).items()
            for statement in (statements if isinstance(statements, tuple) else (statements,))
        ]

    def asked_differently(
        self,
        *,
        requests: int | None = None,
        over_s: float | None = None,
        arrivals: str | None = None,
        warm: int | None = None,
    ) -> Self:
        """This story with every burst's (and the warm phase's) numbers replaced by those given."""
        given = {"requests": requests, "over_s": over_s, "arrivals": arrivals}
        changes = {name: value for name, value in given.items() if value is not None}
        asked = [
            f"{name.removesuffix('_s')}={value}" for name, value in {**given, "warm": warm}.items() if value is not None
        ]

        def changed_phase(phase: TimelinePhase) -> TimelinePhase:
            if isinstance(phase, Burst):
                if changes and phase.given_s:
                    # Other numbers have no moments: they come as a Poisson process does.
                    phase = replace(phase, given_s=(), arrivals=Pattern.POISSON)
                return replace(phase, **changes)  # type: ignore[arg-type]  # names and types are Burst's own
            return Warm(warm) if isinstance(phase, Warm) and warm is not None else phase

        timeline = tuple(changed_phase(phase) for phase in self.timeline)
        if warm is not None and not any(isinstance(phase, Warm) for phase in timeline):
            timeline = (Warm(warm), *timeline)
        return replace(self, timeline=timeline, changed=(*self.changed, *asked))


VARYING = frozenset({
    "client_timeout_s", "connect_time_s", "instances", "listener", "max_connections", "retry",
    "service_time_s", "timeline",
})  # fmt: skip
"""The fields that a variant may change: those of the story, not those that the pools or the wakes are."""


def _configuration(named: PoolConfiguration | str) -> PoolConfiguration:
    return PoolConfiguration.from_short(named, where="pools") if isinstance(named, str) else named
