"""`Replay`: a burst whose moments and requests are those of a log. What a log's lines mean as a load is decided here.

The log is read when its scenario has been loaded (harness/access_log): the burst that comes of it stands in the
`Replay`'s place, and is what is kept and what load generators get.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import lru_cache
from itertools import groupby
from typing import TypeVar

from harness.model.arrivals import Arrival, Pattern, RequestMix, RequestName, ServiceRequest
from harness.model.errors import UserError
from harness.model.limits import LONGEST_S, MAX_REQUESTS, check_number
from harness.model.shape import RequestShape
from harness.model.timeline import Burst

TIME_COLUMN, REQUEST_COLUMN = "time", "request"
SECOND_US = 1_000_000
ANYTHING = "*"
FACTOR_MOST = 1_000_000.0
Item = TypeVar("Item")
REQUEST_ALLOWED = f"{', '.join(RequestName)}, a RequestShape, or None for what is left out"


@dataclass(frozen=True, slots=True)
class Logged:
    """One request as its log has it."""

    at_us: int
    """In microseconds since 1970, or since whatever moment the log counts from."""
    request: str
    """`GET /tracks/7`, or whatever the log says; empty: nothing."""


@dataclass(frozen=True, slots=True, init=False)
class Replay(Burst):
    """The load of a log: a request for each of its lines, at its moment, counted from the first.

    `Replay("access.csv", requests={"POST *": "write_play"})`. The path is looked for beside the scenario's file, then
    in the current directory.
    """

    log: str = ""
    speed: float = 1.0
    """2: the moments come twice as fast."""
    sampled: float = 1.0
    """The parameter `rate`. 0.5: every second request of the log, beginning with the first; 2: each twice."""
    columns: tuple[str, str] = (TIME_COLUMN, REQUEST_COLUMN)
    """The names of the columns, or of the keys, of the moment and of the request."""
    named: tuple[tuple[str, ServiceRequest | None], ...] = ()
    """The parameter `requests`: what the first pattern (as in file names) that fits a line's request makes of it.
    None: the line is left out. What none fits is a `read_track`."""

    def __init__(
        self,
        log: str,
        *,
        speed: float = 1.0,
        rate: float = 1.0,
        columns: Sequence[str] = (TIME_COLUMN, REQUEST_COLUMN),
        requests: Mapping[str, str | RequestShape | None] | None = None,
        hold_s: float = 1.0,
    ) -> None:
        path: object = log
        if not isinstance(path, str) or not path:
            raise UserError(f"{path!r} is not a path", where="replay", allowed="the path of a log, as text")
        for name, factor in (("speed", speed), ("rate", rate)):
            check_number(name, factor, where="replay", above_least=True, most=FACTOR_MOST)
        if isinstance(columns, str) or len(columns) != 2 or not all(isinstance(name, str) for name in columns):
            what = f"columns must be two names, got {columns!r}"
            raise UserError(what, where="replay", allowed='("time", "request")')
        # Until the log has been read it is a burst of one request, so that a timeline and a `Traffic` can hold it.
        mix = RequestMix.of({RequestName.READ_TRACK: 1}, hold_s=hold_s)
        Burst.__init__(self, 1, 0.0, Pattern.GIVEN, mix, (0.0,))
        named = tuple((pattern, _request(request)) for pattern, request in (requests or {}).items())
        for name, value in (
            ("log", log), ("speed", float(speed)), ("sampled", float(rate)), ("columns", tuple(columns)),
            # The pattern that fits anything comes last, wherever it is written.
            ("named", tuple(sorted(named, key=lambda pair: pair[0] == ANYTHING))),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def schedule(self, seed: int) -> tuple[Arrival, ...]:  # noqa: ARG002 - it has none yet
        """No arrivals: they are those of the burst that is made of the log."""
        raise UserError("its log has not been read", where=f"Replay({self.log!r})", allowed="load_scenario reads it")

    def burst(self, logged: Sequence[Logged]) -> Burst:
        """The burst that these lines of the log are, in order of time."""
        where = f"Replay({self.log!r})"
        kinds = Kinds(self.named)
        asked = [(one.at_us, kind) for one in spread(logged) if (kind := kinds.of(one.request)) is not None]
        if not asked:
            raise UserError("has no request that is not left out", where=where)
        count = math.ceil(len(asked) * Fraction(str(self.sampled)))
        if count > MAX_REQUESTS:
            allowed = f"up to {MAX_REQUESTS}; a smaller rate takes some of them"
            raise UserError(f"these are {count} requests", where=where, allowed=allowed)
        taken = sample(asked, self.sampled)
        first_us = taken[0][0]
        moments_s = [round((at_us - first_us) / SECOND_US / self.speed, 6) for at_us, _ in taken]
        if moments_s[-1] > LONGEST_S:
            allowed = f"up to {LONGEST_S:.0f} s; a larger speed shortens it"
            raise UserError(f"lasts {moments_s[-1]:.0f} s", where=where, allowed=allowed)
        burst = Burst.at(*moments_s, requests=[kind for _, kind in taken])
        return replace(burst, mix=replace(burst.mix, hold_s=self.mix.hold_s))


class Kinds:
    """What the requests of a log are to the service under test."""

    def __init__(self, named: Sequence[tuple[str, ServiceRequest | None]]) -> None:
        self._named = dict(named)
        self.pattern = lru_cache(maxsize=10_000)(self._pattern)

    def of(self, text: str) -> ServiceRequest | None:
        """The request that this text of a log stands for; None: it is left out."""
        pattern = self.pattern(text)
        return RequestName.READ_TRACK if pattern is None else self._named[pattern]

    def _pattern(self, text: str) -> str | None:
        """The first pattern that fits; None: none does."""
        return next((pattern for pattern in self._named if fnmatchcase(text, pattern)), None)


def spread(logged: Sequence[Logged]) -> list[Logged]:
    """The lines in order of time; where a log has whole seconds only, those of one second lie evenly in it.

    Taken literally, a log that is cut to whole seconds would send all requests of a second at once.
    """
    ordered = sorted(logged, key=lambda one: one.at_us)
    if any(one.at_us % SECOND_US for one in ordered):
        return ordered
    evenly: list[Logged] = []
    for second_us, same in groupby(ordered, key=lambda one: one.at_us):
        lines = list(same)
        evenly += [replace(one, at_us=second_us + SECOND_US * number // len(lines)) for number, one in enumerate(lines)]
    return evenly


def sample(items: Sequence[Item], rate: float) -> list[Item]:
    """With 0.5 every second item, beginning with the first; with 2 each one twice. By the order, without chance."""
    exact, taken, before = Fraction(str(rate)), [], 0
    for number, item in enumerate(items, start=1):
        until = math.ceil(number * exact)
        taken += [item] * (until - before)
        before = until
    return taken


def _request(named: str | RequestShape | None) -> ServiceRequest | None:
    if named is None or isinstance(named, RequestShape):
        return named
    if named not in set(RequestName):
        raise UserError(f"no request {named!r}", where="replay", allowed=REQUEST_ALLOWED)
    return RequestName(named)
