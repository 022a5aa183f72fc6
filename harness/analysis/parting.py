"""Where two trials part: in what they are, in their arrivals, in their events, and request by request."""

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any, TypeAlias

from harness.analysis.columns import by_instance, numbers
from harness.analysis.pairing import Pair, Side
from harness.model.arrivals import Arrival
from harness.model.outcomes import Outcome
from harness.model.status import RunStatus
from harness.model.story import Story
from harness.model.trial import Trial

Row: TypeAlias = dict[str, Any]
DID = ("checkout_s", "connect_s", "ping_s", "query_s")
"""What a request does, in the order in which it does it."""
POOL_STATE = ("size", "idle", "checked_out", "connecting", "waiting")
NOT_OF_THE_STORY = frozenset({"name", "wake"})


@dataclass(frozen=True, slots=True)
class Condition:
    """Something about the two trials, before anything is played, that is not the same."""

    what: str
    a: str
    b: str


@dataclass(frozen=True, slots=True)
class ArrivalParting:
    """The first arrival that is not the same; None: that side has no more."""

    number: int
    a: Arrival | None
    b: Arrival | None


@dataclass(frozen=True, slots=True)
class EventParting:
    """The first event that differs: the n-th of its kind, from 0. None: that side has no such event."""

    event: str
    number: int
    a: Row | None
    b: Row | None

    @property
    def at_s(self) -> float:
        """When it came, on the side where it came first."""
        return min(float(row["at_s"]) for row in (self.a, self.b) if row is not None)


@dataclass(frozen=True, slots=True)
class RequestParting:
    """A request that ended differently, and the pool: when it came, and when the first of the two had ended."""

    a: Row
    b: Row
    pool_at_arrival: tuple[Row | None, Row | None]
    pool_at_end: tuple[Row | None, Row | None]

    @property
    def number(self) -> int:
        return int(self.a["number"])

    @property
    def parted_s(self) -> float:
        """When the first of the two had ended, from its arrival."""
        latencies_s: list[float] = [self.a["latency_s"], self.b["latency_s"]]
        return min(latencies_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class Following:
    """The requests from the first that differs on."""

    first: int
    requests: int
    outcomes: tuple[Counter[str], Counter[str]]
    saved: int
    """They fail in A and are ok in B."""
    lost: int
    differing: int
    """They end differently, or their latency differs by more than the tolerance."""
    longer_s: float
    """How much longer those that are ok in both take in B, on average; NaN: there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parting:
    """Everything in which two trials differ."""

    pair: Pair
    conditions: tuple[Condition, ...]
    arrivals: ArrivalParting | None
    """Where the arrivals part; then nothing else was compared."""
    requests: int = 0
    """How many requests both have."""
    only: tuple[int, int] = (0, 0)
    """How many only the one has, and only the other."""
    event: EventParting | None = None
    outcome: RequestParting | None = None
    latency: RequestParting | None = None
    following: Following | None = None

    @property
    def is_alike(self) -> bool:
        """Whether both trials did the same, as far as they went."""
        parts = (self.arrivals, self.event, self.outcome, self.latency)
        return not any(self.only) and all(part is None for part in parts)


def part(pair: Pair, *, tolerance_s: float) -> Parting:
    """Where these two trials part. Moments and durations that differ by no more than the tolerance are the same."""
    conditions = tuple(_conditions(pair))
    arrivals = _first_arrival(pair.a.trial, pair.b.trial)
    if arrivals is not None:
        return Parting(pair=pair, conditions=conditions, arrivals=arrivals)
    mine, theirs = _requests(pair.a), _requests(pair.b)
    common = [number for number in mine if number in theirs]
    outcome = next((number for number in common if mine[number]["outcome"] != theirs[number]["outcome"]), None)
    latency = next((number for number in common if _differs(mine[number], theirs[number], tolerance_s)), None)

    def request(number: int | None) -> RequestParting | None:
        return None if number is None else _request(pair, mine[number], theirs[number])

    first = min((number for number in (outcome, latency) if number is not None), default=None)
    return Parting(
        pair=pair,
        conditions=conditions,
        arrivals=None,
        requests=len(common),
        only=(len(mine) - len(common), len(theirs) - len(common)),
        event=_first_event(pair, tolerance_s),
        outcome=request(outcome),
        latency=request(latency),
        following=None if first is None else _following(first, common, mine, theirs, tolerance_s),
    )


def _conditions(pair: Pair) -> Iterator[Condition]:
    """Run and machine first, then the story, the wake, the pool and the seed."""
    a, b = pair.a, pair.b
    one, other = a.run.manifest, b.run.manifest
    if one is not other:
        yield from _differing("", {"scenario": one.plan.title, "stack": one.stack}, {
            "scenario": other.plan.title, "stack": other.stack,
        })  # fmt: skip
        yield from _differing("version of ", one.versions, other.versions)
        yield from _differing("machine's ", one.machine, other.machine)
        yield from _differing("", {"commit": one.git_commit}, {"commit": other.git_commit})
        yield from _differing("", _status(a), _status(b))
    for field in fields(Story):
        values = [getattr(side.trial.story, field.name) for side in (a, b)]
        if field.name not in NOT_OF_THE_STORY and values[0] != values[1]:
            yield Condition(f"the story's {field.name}", *(_short(value) for value in values))
    yield from _differing("the wake's ", a.trial.wake_json() or {}, b.trial.wake_json() or {})
    yield from _differing("", a.trial.pool.to_json(), b.trial.pool.to_json())
    yield from _differing("", {"seed": a.trial.seed}, {"seed": b.trial.seed})


def _status(side: Side) -> dict[str, str]:
    status = side.run.manifest.status
    cut = ", and this trial was cut short" if side.was_cut_short else ""
    return {"status": f"{status}{cut}"} if status is not RunStatus.COMPLETE or cut else {"status": str(status)}


def _differing(prefix: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Condition]:
    for name in dict.fromkeys([*a, *b]):
        if a.get(name) != b.get(name):
            yield Condition(f"{prefix}{name}", _short(a.get(name)), _short(b.get(name)))


def _short(value: object) -> str:
    text = "none" if value is None else f"{value:.12g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def arrivals_of(trial: Trial) -> list[Arrival]:
    """Every arrival that a trial is to have, each load from its own beginning; numbers go on from load to load."""
    found: list[Arrival] = []
    bursts = 0
    for load in trial.story.loads:
        found += load.schedule(trial.burst_seed(bursts))
        bursts += len(load.bursts)
    return found


def _first_arrival(a: Trial, b: Trial) -> ArrivalParting | None:
    if a.story.loads == b.story.loads and a.seed == b.seed:
        return None
    for number, (one, other) in enumerate(zip_longest(arrivals_of(a), arrivals_of(b))):
        if one is None or other is None or _asked(one) != _asked(other):
            return ArrivalParting(number, one, other)
    return None


def _asked(arrival: Arrival) -> tuple[object, ...]:
    return arrival.at_s, arrival.request, arrival.key, arrival.hold_s


def _requests(side: Side) -> dict[int, Row]:
    rows: list[Row] = side.run.rows(side.trial, "requests").to_pylist()
    return {row["number"]: row for row in sorted(rows, key=lambda row: int(row["number"]))}


def _differs(a: Row, b: Row, tolerance_s: float) -> bool:
    return abs(float(a["latency_s"]) - float(b["latency_s"])) > tolerance_s


def _request(pair: Pair, a: Row, b: Row) -> RequestParting:
    ended_s = min(a["end_s"], b["end_s"])
    sides = (pair.a, pair.b)
    return RequestParting(
        a, b,
        pool_at_arrival=(_pool(sides[0], a["arrival_s"]), _pool(sides[1], b["arrival_s"])),
        pool_at_end=(_pool(sides[0], ended_s), _pool(sides[1], ended_s)),
    )  # fmt: skip


def _pool(side: Side, at_s: float) -> Row | None:
    """The last sample until this moment, over all instances; None: the pool was not seen until then."""
    found = []
    for sampled in by_instance(side.run.rows(side.trial, "pool")):
        until = int((numbers(sampled, "at_s") <= at_s).sum())
        if until:
            found.append(sampled.slice(until - 1, 1).to_pylist()[0])
    return {name: sum(sample[name] for sample in found) for name in POOL_STATE} if found else None


def _first_event(pair: Pair, tolerance_s: float) -> EventParting | None:
    """The earliest event that the other trial has not, or has at another time.

    Where time is real, what comes before the first burst takes as long as setting up does: it need only come.
    """
    kinds: list[dict[tuple[str, int], Row]] = []
    for side in (pair.a, pair.b):
        seen: Counter[str] = Counter()
        events: dict[tuple[str, int], Row] = {}
        for row in side.run.rows(side.trial, "events").to_pylist():
            events[row["event"], seen[row["event"]]] = row
            seen[row["event"]] += 1
        kinds.append(events)
    as_many = pair.a.trial.pool.pool_size == pair.b.trial.pool.pool_size
    both = {"virtual": pair.a.is_virtual and pair.b.is_virtual, "warms_as_many": as_many}
    parted = [
        EventParting(event, number, one, other)
        for event, number in dict.fromkeys([*kinds[0], *kinds[1]])
        for one, other in [(kinds[0].get((event, number)), kinds[1].get((event, number)))]
        if one is None or other is None or _events_differ(one, other, tolerance_s, **both)
    ]
    return min(parted, key=lambda parting: parting.at_s, default=None)


def _events_differ(a: Row, b: Row, tolerance_s: float, *, virtual: bool, warms_as_many: bool) -> bool:
    if not virtual and max(a["at_s"], b["at_s"]) <= tolerance_s:
        return False
    details = [_detail(row) for row in (a, b)]
    if not warms_as_many:
        # Pools of two sizes hold two numbers of connections: that is said of the settings.
        for detail in details:
            detail.pop("connections", None)
    values = [row["value_s"] for row in (a, b)]
    other_value = values[0] != values[1] if None in values else abs(values[0] - values[1]) > tolerance_s
    return abs(a["at_s"] - b["at_s"]) > tolerance_s or other_value or details[0] != details[1]


def _detail(row: Row) -> dict[str, Any]:
    """Without the moment in UTC, which no two trials have in common."""
    return {name: value for name, value in json.loads(row["detail"] or "{}").items() if name != "utc"}


def _following(
    first: int, common: Sequence[int], mine: Mapping[int, Row], theirs: Mapping[int, Row], tolerance_s: float
) -> Following:
    rows = [(mine[number], theirs[number]) for number in common if number >= first]
    ok = [(a["outcome"] == Outcome.OK, b["outcome"] == Outcome.OK) for a, b in rows]
    both = [b["latency_s"] - a["latency_s"] for (a, b), oks in zip(rows, ok, strict=True) if all(oks)]
    return Following(
        first=first,
        requests=len(rows),
        outcomes=(Counter(a["outcome"] for a, _ in rows), Counter(b["outcome"] for _, b in rows)),
        saved=sum(b and not a for a, b in ok),
        lost=sum(a and not b for a, b in ok),
        differing=sum(a["outcome"] != b["outcome"] or _differs(a, b, tolerance_s) for a, b in rows),
        longer_s=sum(both) / len(both) if both else math.nan,
    )
