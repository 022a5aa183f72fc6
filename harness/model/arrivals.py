"""The open-loop schedule: when each request is meant to start and what it asks for, from the seed alone.

Every pool configuration of a run meets the same arrivals, so their results can be compared request by request.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate
from typing import Self, TypeAlias, assert_never

from harness.model.application_request import ApplicationRequest
from harness.model.errors import UserError
from harness.model.limits import check_number, check_weights
from harness.model.shape import RequestShape


class Pattern(StrEnum):
    """How the arrivals of a burst are distributed in time."""

    POISSON = "poisson"
    EVEN = "even"
    AT_ONCE = "at_once"
    GIVEN = "given"
    """At the moments that the story lists."""


class RequestName(StrEnum):
    """The requests the service under test answers, and how each is asked for over HTTP.

    In the target `{key}` is the arrival's key and `{hold_s:g}` the mix's. What the service does for each is in
    harness/service/requests.py.
    """

    method: str
    target: str

    def __new__(cls, name: str, method: str = "", target: str = "") -> Self:
        request = str.__new__(cls, name)
        request._value_ = name
        request.method, request.target = method, target
        return request

    READ_TRACK = "read_track", "GET", "/tracks/{key}"
    LIST_TRACKS = "list_tracks", "GET", "/tracks?after={key}"
    WRITE_PLAY = "write_play", "POST", "/tracks/{key}/plays"
    HOLD_CONNECTION = "hold_connection", "POST", "/tracks/{key}/hold?hold_s={hold_s:g}"
    SLOW_QUERY = "slow_query", "GET", "/tracks/{key}/slow?seconds={hold_s:g}"
    LEAK_CONNECTION = "leak_connection", "POST", "/tracks/{key}/leak"

    @property
    def path(self) -> str:
        """The target without its query, as a route."""
        return self.target.partition("?")[0]

    def query_parameter(self, field: str) -> str | None:
        """The name of the query parameter that carries `key` or `hold_s`; None: the target has none."""
        pairs = (pair.partition("=") for pair in self.target.partition("?")[2].split("&"))
        return next((name for name, _, value in pairs if value.startswith(f"{{{field}")), None)

    def url(self, key: int, *, hold_s: float) -> str:
        """The path and query of one request."""
        return self.target.format(key=key, hold_s=hold_s)


ServiceRequest: TypeAlias = RequestName | RequestShape
"""What the service under test can be asked."""
AnyRequest: TypeAlias = ServiceRequest | ApplicationRequest
"""What a client can ask for: one of the service's own requests, one that the scenario describes, or one of the user's
own application."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request's intended start, in seconds from the start of the load, and what it asks for."""

    number: int
    at_s: float
    request: AnyRequest
    key: int
    """A whole number from 0 below 2**31 that stands for whatever the request is about (which track)."""
    hold_s: float = 1.0
    """As its mix has it."""
    burst: int = 0
    """Which burst of the load it belongs to, from 0."""

    @property
    def url(self) -> str:
        """The path and query by which it asks."""
        return self.request.url(self.key, hold_s=self.hold_s)


@dataclass(frozen=True, slots=True)
class RequestMix:
    """How often each request is asked for, as weights.

    `hold_s` is how long one `hold_connection` holds its connection, and how long one `slow_query` takes.
    """

    weights: tuple[tuple[AnyRequest, float], ...]
    hold_s: float = 1.0

    def __post_init__(self) -> None:
        check_weights([(request.value, weight) for request, weight in self.weights], where="request mix")
        check_number("hold_s", self.hold_s, where="request mix")

    @classmethod
    def of(cls, weights: Mapping[str | RequestShape, float], *, hold_s: float = 1.0) -> "RequestMix":
        """A mix from requests and weights, as a scenario writes it; a request is a name or a shape."""
        unknown = sorted(name for name in weights if isinstance(name, str) and name not in set(RequestName))
        if unknown:
            allowed = f"{', '.join(RequestName)}, or a RequestShape"
            raise UserError(f"no request {unknown[0]!r}", where="request mix", allowed=allowed)
        return cls(tuple((_request(name), float(weight)) for name, weight in weights.items()), hold_s)

    @property
    def names(self) -> frozenset[str]:
        """Of its requests, as in a run's files."""
        return frozenset(request.value for request, _ in self.weights)

    @property
    def shapes(self) -> tuple[RequestShape, ...]:
        """The requests that the scenario describes."""
        return tuple(request for request, _ in self.weights if isinstance(request, RequestShape))


def _request(named: str | RequestShape) -> ServiceRequest:
    return named if isinstance(named, RequestShape) else RequestName(named)


BROWSING = RequestMix.of({"read_track": 6, "list_tracks": 3, "write_play": 1})
"""Light traffic of a music catalogue: mostly reads, each a few milliseconds of database time."""


def schedule(
    *,
    requests: int,
    over_s: float,
    pattern: Pattern,
    mix: RequestMix,
    seed: int,
    given_s: Sequence[float] = (),
    given_requests: Sequence[str] = (),
) -> tuple[Arrival, ...]:
    """The arrivals of one burst, in order of time.

    `poisson` places exactly `requests` arrivals as a Poisson process does given its count: independently and
    uniformly over `over_s` seconds. `even` spaces them equally, beginning at 0. `at_once` puts all of them at 0.
    `given` takes the moments in `given_s`, and their requests, each one of the mix, from `given_requests`.
    The requests' names and keys come from a stream of their own, so they do not depend on the pattern.
    """
    if requests < 1:
        raise UserError(f"requests must be at least 1, got {requests}", where="burst")
    if over_s < 0 or (over_s == 0 and pattern not in (Pattern.AT_ONCE, Pattern.GIVEN)):
        raise UserError(f"over must be positive, got {over_s:g} s", where="burst")
    times = list(given_s) if pattern is Pattern.GIVEN else _times(requests, over_s, pattern, seed)
    draw = random.Random(f"requests/{seed}")
    names = [name for name, _ in mix.weights]
    if given_requests:
        known = {request.value: request for request in names}
        return tuple(
            Arrival(number, at_s, known[request], draw.randrange(2**31), mix.hold_s)
            for number, (at_s, request) in enumerate(zip(times, given_requests, strict=True))
        )
    cumulative = list(accumulate(weight for _, weight in mix.weights))
    return tuple(
        Arrival(number, at_s, draw.choices(names, cum_weights=cumulative)[0], draw.randrange(2**31), mix.hold_s)
        for number, at_s in enumerate(times)
    )


def _times(requests: int, over_s: float, pattern: Pattern, seed: int) -> list[float]:
    draw = random.Random(f"arrivals/{seed}")
    match pattern:
        case Pattern.POISSON:
            return sorted(draw.random() * over_s for _ in range(requests))
        case Pattern.EVEN:
            return [over_s * number / requests for number in range(requests)]
        case Pattern.AT_ONCE | Pattern.GIVEN:
            # Those that are given come with the story: nobody asks for them here.
            return [0.0] * requests
        case _:
            assert_never(pattern)


def share(arrivals: tuple[Arrival, ...], *, index: int, count: int) -> tuple[Arrival, ...]:
    """The part of a schedule that worker `index` of `count` drives; the union over workers is the schedule."""
    return arrivals[index::count]
