"""The phases of a timeline: warm, suspend, idle, slow and burst, in any order."""

from dataclasses import dataclass
from typing import Self, TypeAlias

from harness.model.arrivals import BROWSING, Arrival, Pattern, RequestMix, schedule
from harness.model.errors import UserError
from harness.model.limits import MAX_CONNECTIONS, MAX_REQUESTS, check_number, check_whole


@dataclass(frozen=True, slots=True)
class Warm:
    """The pool opens connections and uses each once; `connections` None: pool_size of them, 0: none."""

    connections: int | None = None

    def __post_init__(self) -> None:
        if self.connections is not None:
            check_whole("connections", self.connections, where="warm", most=MAX_CONNECTIONS)


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

    @classmethod
    def at(cls, *given_s: float, mix: RequestMix = BROWSING) -> Self:
        """A burst with requests at these moments, in seconds from its start."""
        return cls(
            len(given_s), max(given_s, default=0.0), Pattern.GIVEN, mix, tuple(float(moment_s) for moment_s in given_s)
        )

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


TimelinePhase: TypeAlias = Warm | Suspend | Idle | Slow | Burst
