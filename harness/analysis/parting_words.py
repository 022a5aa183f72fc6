"""Where two trials part, in sentences, in a table and as JSON."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from harness.analysis.parting import DID, POOL_STATE, Condition, EventParting, Parting, RequestParting, Row
from harness.analysis.sentences import listed, plural, seconds
from harness.model.arrivals import Arrival
from harness.model.distribution import three_figures

EXACT = 12
"""How many figures a moment has where seconds with three are the same."""


def headline(parting: Parting, *, tolerance_s: float) -> str:
    """The verdict in one line."""
    if parting.arrivals is not None:
        number = parting.arrivals.number
        return f"The arrivals part at request {number}: these trials can't be compared request by request."
    if parting.is_alike:
        same = "exactly" if not tolerance_s else f"to {seconds(tolerance_s)}"
        return f"Both did the same, {same}: {plural(parting.requests, 'request')}, and every event."
    first = min((one.number for one in (parting.outcome, parting.latency) if one is not None), default=None)
    if first is None:
        if parting.event is None:
            return f"They are alike as far as both went: {plural(parting.requests, 'request')}."
        return f"Every request of both is alike; {_which(parting.event)} is not."
    return f"They part at request {first} of {parting.requests}."


def conditions(parting: Parting) -> list[str]:
    """What was not the same before anything was played: `pool_size: 5 and 10`."""
    return [_condition(one) for one in parting.conditions]


def _condition(condition: Condition) -> str:
    return f"{condition.what}: {condition.a} in A, {condition.b} in B"


def sentences(parting: Parting) -> Iterator[str]:
    """What differs, in the order in which one asks."""
    if parting.arrivals is not None:
        yield _arrival("A", parting.arrivals.number, parting.arrivals.a)
        yield _arrival("B", parting.arrivals.number, parting.arrivals.b)
        return
    yield "The arrivals are the same."
    for side, count in zip("AB", parting.only, strict=True):
        if count:
            yield f"{plural(count, 'request')} ended in {side} alone: the other trial was cut short before."
    if parting.event is None:
        yield "Every event is the same."
    else:
        yield f"The first event that differs is {_event(parting.event)}."
    if parting.outcome is not None:
        yield f"The first request whose outcome differs is {_request(parting.outcome)}."
    elif parting.requests:
        yield "No request's outcome differs."
    if parting.latency is not None:
        same = parting.outcome is not None and parting.outcome.number == parting.latency.number
        what = "the same" if same else _request(parting.latency)
        yield f"The first whose latency differs is {what}."
    elif parting.requests:
        yield "No request's latency differs."
    if parting.following is not None:
        yield from _following(parting)


def _arrival(side: str, number: int, arrival: Arrival | None) -> str:
    if arrival is None:
        return f"In {side} there is no request {number}: the last is {number - 1}."
    return f"In {side} request {number} is a {arrival.request.value}, {arrival.at_s:.6g} s after its load began."


def _which(parting: EventParting) -> str:
    return f"{parting.event}" + (f" number {parting.number + 1}" if parting.number else "")


def _event(parting: EventParting) -> str:
    a, b = parting.a, parting.b
    name = _which(parting)
    if a is None or b is None:
        row = a or b
        assert row is not None
        return f"{name}, at {row['at_s']:.3f} s: only {'A' if b is None else 'B'} has it"
    if f"{a['at_s']:.3f}" != f"{b['at_s']:.3f}":
        return f"{name}: at {a['at_s']:.3f} s in A, at {b['at_s']:.3f} s in B"
    if a["at_s"] != b["at_s"]:
        return f"{name}: at {a['at_s']:.{EXACT}g} s in A, at {b['at_s']:.{EXACT}g} s in B"
    values = [_said(row) for row in (a, b)]
    return f"{name}, at {a['at_s']:.3f} s: {values[0]} in A, {values[1]} in B"


def _said(row: Row) -> str:
    """What an event says beside its moment."""
    value = [] if row["value_s"] is None else [f"{row['value_s']:.6g} s"]
    detail = [f"{name} {text}" for name, text in json.loads(row["detail"] or "{}").items() if name != "utc"]
    return ", ".join([*value, *detail]) or "nothing"


def _request(parting: RequestParting) -> str:
    a, b = parting.a, parting.b
    return f"{parting.number}, a {a['request']} that came at {a['arrival_s']:.3f} s: {_ended(a)} in A, {_ended(b)} in B"


def _ended(row: Row) -> str:
    error = f" ({row['error']})" if row["error"] else ""
    return f"{row['outcome']}{error} after {seconds(row['latency_s'])}"


def _following(parting: Parting) -> Iterator[str]:
    following = parting.following
    assert following is not None
    a, b = following.outcomes
    text = f"From request {following.first} on, {following.differing} of {plural(following.requests, 'request')} differ"
    yield f"{text}: {_counts(a)} in A, {_counts(b)} in B."
    if following.saved or following.lost:
        yield f"B saves {following.saved} that fail in A, and loses {following.lost} that are ok in A."
    if not math.isnan(following.longer_s):
        if abs(following.longer_s) < 0.0005:
            yield "Those that are ok in both take as long, on average."
        else:
            longer = "longer" if following.longer_s > 0 else "shorter"
            mean = seconds(abs(following.longer_s)) if abs(following.longer_s) >= 0.001 else "under 1 ms"
            yield f"Those that are ok in both take {mean} {longer} in B, on average."


def _counts(outcomes: Counter[str]) -> str:
    return listed([f"{count} {outcome}" for outcome, count in sorted(outcomes.items(), key=lambda one: -one[1])])


def shown(parting: Parting) -> RequestParting | None:
    """The request whose two sides are worth a table: the first whose outcome differs, else whose latency does."""
    return parting.outcome or parting.latency


def table(request: RequestParting) -> list[tuple[str, str, str]]:
    """What the request did in both, and the pool it met: a name, and both values."""
    rows = [
        ("outcome", request.a["outcome"], request.b["outcome"]),
        ("latency", *_times(request.a["latency_s"], request.b["latency_s"])),
        *((name.removesuffix("_s"), *_times(request.a[name], request.b[name])) for name in DID),
    ]
    ended = f"the pool {three_figures(request.parted_s)} s later"
    for what, states in (("the pool as it came", request.pool_at_arrival), (ended, request.pool_at_end)):
        rows.append((what, *(_state(state) for state in states)))  # type: ignore[arg-type]  # two of them
    return rows


def _times(a: float | None, b: float | None) -> tuple[str, str]:
    """Both as seconds, with as many figures as tell them apart."""
    texts = seconds(a), seconds(b)
    if a is None or b is None or a == b or texts[0] != texts[1]:
        return texts
    for figures in range(3, EXACT + 1):
        exact = f"{a:.{figures}g} s", f"{b:.{figures}g} s"
        if exact[0] != exact[1]:
            return exact
    return texts


def _state(state: Row | None) -> str:
    if state is None:
        return "not seen"
    return ", ".join(f"{name.replace('_', ' ')} {state[name]}" for name in POOL_STATE)


def to_json(parting: Parting) -> dict[str, Any]:
    """The parting as a part of the document of `--json`."""
    arrivals, event, following = parting.arrivals, parting.event, parting.following
    return {
        "a": _side_json(parting, "a"),
        "b": _side_json(parting, "b"),
        "alike": parting.is_alike,
        "different": [{"what": one.what, "a": one.a, "b": one.b} for one in parting.conditions],
        "arrivals": None if arrivals is None else {
            "number": arrivals.number, "a": _arrival_json(arrivals.a), "b": _arrival_json(arrivals.b),
        },
        "requests": parting.requests,
        "only_a": parting.only[0],
        "only_b": parting.only[1],
        "event": None if event is None else {
            "event": event.event, "number": event.number, "at_s": event.at_s, "a": _event_json(event.a),
            "b": _event_json(event.b),
        },
        "outcome": _request_json(parting.outcome),
        "latency": _request_json(parting.latency),
        "following": None if following is None else {
            "first": following.first, "requests": following.requests, "differing": following.differing,
            "outcomes_a": dict(following.outcomes[0]), "outcomes_b": dict(following.outcomes[1]),
            "saved": following.saved, "lost": following.lost,
            "longer_s": None if math.isnan(following.longer_s) else following.longer_s,
        },
    }  # fmt: skip


def _side_json(parting: Parting, which: str) -> dict[str, Any]:
    side = getattr(parting.pair, which)
    return {
        "run": side.run.folder.name, "stack": side.run.manifest.stack, "trial": side.trial.number,
        "configuration": side.trial.configuration, "wake": side.trial.wake_json(), "seed": side.trial.seed,
        "cut_short": side.was_cut_short,
    }  # fmt: skip


def _arrival_json(arrival: Arrival | None) -> dict[str, Any] | None:
    return None if arrival is None else {"request": arrival.request.value, "at_s": arrival.at_s, "key": arrival.key}


def _event_json(row: Row | None) -> dict[str, Any] | None:
    return None if row is None else {name: row[name] for name in ("at_s", "value_s", "detail")}


def _request_json(request: RequestParting | None) -> dict[str, Any] | None:
    if request is None:
        return None
    names = ("arrival_s", "end_s", "latency_s", "outcome", "error", *DID)
    return {
        "number": request.number, "request": request.a["request"],
        "a": {name: request.a[name] for name in names}, "b": {name: request.b[name] for name in names},
        "pool_at_arrival": list(request.pool_at_arrival), "pool_at_end": list(request.pool_at_end),
    }  # fmt: skip
