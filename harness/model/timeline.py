"""The phases of a timeline, in any order: each begins when the one before it is over.

In a `Traffic` they overlap: its bursts follow one another without waiting for answers, and other phases come at their
moments meanwhile.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self, TypeAlias, get_args

from harness.model.arrivals import BROWSING, Arrival, Pattern, RequestMix, schedule
from harness.model.compute import OnSuspend, WhileWaking
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, MAX_REQUESTS, check_kind, check_number, check_whole
from harness.model.shape import RequestShape


@dataclass(frozen=True, slots=True)
class Warm:
    """The pool opens connections and uses each once; `connections` None: pool_size of them, 0: none.

    With `ages_s` instead, one connection for each age, in the order in which the pool will give them out. The first
    is opened as the phase begins, each other one when it still has to grow so old until the phase ends, and all are
    given back then: the phase takes as long as the oldest is old.
    """

    connections: int | None = None
    ages_s: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ages_s", tuple(self.ages_s))
        if self.connections is not None:
            check_whole("connections", self.connections, where="warm", most=MAX_CONNECTIONS)
            if self.ages_s:
                raise UserError("either connections or ages_s, one for each", where="warm")
        for age_s in self.ages_s:
            check_number("ages_s", age_s, where="warm")
        check_whole("connections", len(self.ages_s), where="warm", most=MAX_CONNECTIONS)

    @property
    def opens(self) -> int | None:
        """How many connections; None: as many as the pool keeps."""
        return len(self.ages_s) or self.connections


@dataclass(frozen=True, slots=True)
class Suspend:
    """The compute suspends now, on command instead of after its idle time."""


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
    given_requests: tuple[str, ...] = ()
    """What is asked for at each of them: the name of one of the mix's requests. Empty: drawn from the mix."""

    @classmethod
    def rate(cls, per_s: float, *, for_s: float, arrivals: str = Pattern.POISSON, mix: RequestMix = BROWSING) -> Self:
        """So many requests a second for so many seconds."""
        check_number("per_s", per_s, where="burst", above_least=True, most=MAX_REQUESTS)
        check_number("for_s", for_s, where="burst", above_least=True)
        return cls(max(1, round(per_s * for_s)), float(for_s), arrivals, mix)

    @classmethod
    def at(cls, *given_s: float, mix: RequestMix = BROWSING, requests: Sequence[str | RequestShape] = ()) -> Self:
        """A burst with requests at these moments, in seconds from its start.

        `requests` says what is asked for at each of them, and becomes the mix; without it they are drawn from `mix`.
        """
        if requests:
            mix = RequestMix.of(Counter(requests), hold_s=mix.hold_s)
        moments_s = tuple(float(moment_s) for moment_s in given_s)
        names = tuple(request.name if isinstance(request, RequestShape) else str(request) for request in requests)
        return cls(len(given_s), max(moments_s, default=0.0), Pattern.GIVEN, mix, moments_s, names)

    def __post_init__(self) -> None:
        check_whole("requests", self.requests, where="burst", least=1, most=MAX_REQUESTS)
        at_a_moment = self.arrivals in (Pattern.AT_ONCE, Pattern.GIVEN)
        check_number("over", self.over_s, where="burst", above_least=not at_a_moment)
        for moment_s in self.given_s:
            check_number("moments", moment_s, where="burst")
        if (self.arrivals == Pattern.GIVEN) != bool(self.given_s) or list(self.given_s) != sorted(self.given_s):
            raise UserError("the pattern `given` needs its moments, in order", where="burst")
        if self.given_s and (len(self.given_s) != self.requests or self.given_s[0] < 0):
            raise UserError(f"{self.requests} requests need as many moments, 0 or later", where="burst")
        if self.given_requests and len(self.given_requests) != len(self.given_s):
            what = f"{len(self.given_s)} moments need as many requests, got {len(self.given_requests)}"
            raise UserError(what, where="burst")
        if unknown := sorted(set(self.given_requests) - self.mix.names):
            allowed = ", ".join(sorted(self.mix.names))
            raise UserError(f"no request {unknown[0]!r} in its mix", where="burst", allowed=allowed)
        if self.given_requests and len(self.mix.names) < len(self.mix.weights):
            raise UserError("two different requests of its mix have the same name", where="burst")
        if self.arrivals not in set(Pattern):
            raise UserError(f"no arrival pattern {self.arrivals!r}", where="burst", allowed=", ".join(Pattern))

    @property
    def bursts(self) -> tuple["Burst", ...]:
        """As a load, it is one burst."""
        return (self,)

    @property
    def starts_s(self) -> tuple[float, ...]:
        """When each burst of this load starts, in seconds from the load's start."""
        return (0.0,)

    def schedule(self, seed: int) -> tuple[Arrival, ...]:
        """The arrivals of this burst, from the seed alone."""
        return schedule(
            requests=self.requests,
            over_s=self.over_s,
            pattern=Pattern(self.arrivals),
            mix=self.mix,
            seed=seed,
            given_s=self.given_s,
            given_requests=self.given_requests,
        )


@dataclass(frozen=True, slots=True)
class Slow:
    """From now on every round trip to the database takes `round_trip_s` longer; 0 ends it."""

    round_trip_s: float

    def __post_init__(self) -> None:
        check_number("round_trip_s", self.round_trip_s, where="slow")


@dataclass(frozen=True, slots=True)
class Outage:
    """The database is away for `for_s` seconds, whether or not it sleeps at other times. A control has none."""

    for_s: float
    connections: OnSuspend = OnSuspend.TERMINATE
    """What happens to the open connections."""
    meanwhile: WhileWaking = WhileWaking.REFUSE
    """What a new connection meets until the end of the outage."""

    def __post_init__(self) -> None:
        check_number("for_s", self.for_s, where="outage", above_least=True)
        for name, value, words in (
            ("connections", self.connections, OnSuspend), ("meanwhile", self.meanwhile, WhileWaking)
        ):  # fmt: skip
            if value not in set(words):
                raise UserError(f"no {name} {value!r}", where="outage", allowed=", ".join(words))
            object.__setattr__(self, name, words(value))

    @classmethod
    def restart(cls, for_s: float) -> Self:
        """PostgreSQL restarts: its sessions are told so (57P01), and its port refuses until it is up."""
        return cls(for_s, OnSuspend.TERMINATE, WhileWaking.REFUSE)

    @classmethod
    def failover(cls, for_s: float) -> Self:
        """A standby takes over the address: open connections vanish, and new ones get no answer until it has."""
        return cls(for_s, OnSuspend.VANISH, WhileWaking.DROP)


@dataclass(frozen=True, slots=True)
class ConnectionLoss:
    """A share of the open connections dies, beside healthy ones and with the database awake. A control has none.

    A NAT that forgot half its table, one proxy of two: the connections that die are evenly spread over those that are
    open, in the order in which they were opened.
    """

    share: float
    how: OnSuspend = OnSuspend.FREEZE
    """`freeze` (silence), `vanish` (silence without acknowledgements), `reset`, `close` or `terminate`."""

    def __post_init__(self) -> None:
        check_number("share", self.share, where="connection loss", above_least=True, most=1.0)
        if self.how not in set(OnSuspend) - {OnSuspend.KEEP}:
            allowed = ", ".join(sorted(set(OnSuspend) - {OnSuspend.KEEP}))
            raise UserError(f"no how {self.how!r}", where="connection loss", allowed=allowed)
        object.__setattr__(self, "how", OnSuspend(self.how))


@dataclass(frozen=True, slots=True)
class Deploy:
    """A rolling deploy: the instances get new pools, empty ones, `every_s` seconds apart, beginning now.

    An instance's old pool serves the requests that it has, and closes its connections when the last has ended.
    """

    every_s: float = 0.0

    def __post_init__(self) -> None:
        check_number("every_s", self.every_s, where="deploy")


MomentPhase: TypeAlias = Burst | Suspend | Slow | Outage | ConnectionLoss | Deploy
"""What can happen while traffic goes on."""


@dataclass(frozen=True, slots=True)
class At:
    """In a `Traffic`: the phase comes `at_s` seconds after its beginning; a burst is then played beside the others."""

    at_s: float
    phase: MomentPhase

    def __post_init__(self) -> None:
        check_number("at_s", self.at_s, where="at")
        check_kind(self.phase, get_args(MomentPhase), "can't come at a moment of traffic", where="at")


@dataclass(frozen=True, slots=True, init=False)
class Traffic:
    """Bursts that follow one another on time, whatever became of the requests before, and phases meanwhile.

    `Traffic(Burst.rate(4, for_s=60), Burst.rate(12, for_s=180), At(90, Suspend()))`: the second burst begins after
    60 s, and the database suspends in the middle of it. It is over when every request has ended and every phase has
    come.
    """

    phases: tuple[Burst | At, ...]

    def __init__(self, *phases: Burst | At) -> None:
        for phase in phases:
            check_kind(phase, (Burst, At), "has no moment in traffic", where="traffic")
        object.__setattr__(self, "phases", phases)
        if not self.bursts:
            raise UserError("needs a burst", where="traffic")
        if self.requests > MAX_REQUESTS:
            raise UserError(f"these are {self.requests} requests", where="traffic", allowed=f"up to {MAX_REQUESTS}")

    @property
    def _placed(self) -> list[tuple[float, Burst]]:
        placed, at_s = [], 0.0
        for phase in self.phases:
            match phase:
                case Burst():
                    placed.append((at_s, phase))
                    at_s += phase.over_s
                case At(moment_s, Burst() as beside):
                    placed.append((moment_s, beside))
                case At():
                    pass
        return sorted(placed, key=lambda placed: placed[0])

    @property
    def bursts(self) -> tuple[Burst, ...]:
        """Its bursts, in the order in which they start."""
        return tuple(burst for _, burst in self._placed)

    @property
    def starts_s(self) -> tuple[float, ...]:
        """When each of them starts, in seconds from the beginning of the traffic."""
        return tuple(at_s for at_s, _ in self._placed)

    @property
    def moments(self) -> tuple[At, ...]:
        """What comes meanwhile, in order of time."""
        meanwhile = (phase for phase in self.phases if isinstance(phase, At) and not isinstance(phase.phase, Burst))
        return tuple(sorted(meanwhile, key=lambda at: at.at_s))

    @property
    def requests(self) -> int:
        return sum(burst.requests for burst in self.bursts)

    @property
    def over_s(self) -> float:
        """From the start of the first burst to the last moment at which a request can arrive."""
        return max(at_s + burst.over_s for at_s, burst in self._placed)

    def with_bursts(self, change: Callable[[Burst], Burst]) -> Self:
        """The same traffic with each burst changed."""

        def changed(phase: Burst | At) -> Burst | At:
            if isinstance(phase, Burst):
                return change(phase)
            return replace(phase, phase=change(phase.phase)) if isinstance(phase.phase, Burst) else phase

        return type(self)(*map(changed, self.phases))

    def schedule(self, seed: int) -> tuple[Arrival, ...]:
        """The arrivals of all its bursts in order of time, numbered anew; each burst has a seed of its own."""
        arrivals = [
            replace(arrival, at_s=start_s + arrival.at_s, burst=number)
            for number, (start_s, burst) in enumerate(self._placed)
            for arrival in burst.schedule(seed_of_burst(seed, number))
        ]
        arrivals.sort(key=lambda arrival: arrival.at_s)
        return tuple(replace(arrival, number=number) for number, arrival in enumerate(arrivals))


Load: TypeAlias = Burst | Traffic
"""What the clients drive from one beginning to one end."""
TimelinePhase: TypeAlias = Warm | Suspend | Idle | Slow | Outage | ConnectionLoss | Deploy | Burst | Traffic


def seed_of_burst(seed: int, number: int) -> int:
    """The seed of a trial's burst of this number, from 0: each burst has its own arrivals."""
    return seed + 1_000_003 * number
