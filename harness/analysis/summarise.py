"""The summary of a trial, computed from its rows in the same way for every stack and for runs read from disk."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from harness.analysis.away import away
from harness.analysis.columns import by_instance, chosen, counts, instances, is_word, non_empty, numbers
from harness.analysis.measured import disturbances
from harness.model.events import Event
from harness.model.outcomes import Outcome
from harness.model.part import Part
from harness.model.story import ALERT_SUSTAINED_S, Story
from harness.model.summary import SUMMARY, TrialSummary
from harness.model.trial import Trial
from harness.model.visible import spreadsheet_row

ALERT_SHARE = 0.8
"""The reference service alerts when checked_out / pool_size is above 80 % for a sustained period."""
LATE_P99_S = 0.05
LATE_MAX_S = 0.5
"""A load generator that started its requests later than this did not keep its schedule."""

AWAY = frozenset({Event.FIRST_ATTEMPT, Event.OUTAGE, Event.WOKEN})
"""The events of a database that does not answer; one that sleeps while nobody asks is missed by nobody."""
LISTENER_ATTEMPTS = frozenset({Event.LISTENER_CONNECTED, Event.LISTENER_CONNECT_FAILED})
"""How an attempt of the listener to connect ends."""

Rows = Sequence[Mapping[str, Any]]


def summarise(
    trial: Trial, *, requests: pa.Table, pool: pa.Table, events: Rows, wall_s: float, complete: bool = True
) -> TrialSummary:
    """The summary of one trial from its rows of the three tables, each sorted by time.

    Requests and samples are many and stay in columns (harness/model/columns.py); events are few.
    """
    late = _quantiles(numbers(requests, "start_s") - numbers(requests, "arrival_s"), p99=99, max=100)
    scheduled = sum(burst.requests for burst in trial.story.bursts)

    def part_of(part: Part) -> TrialSummary:
        of_pool = {} if part.instance is None else _of_pool(trial, _pool_of(pool, part.instance), events)
        return replace(whole, **_of_requests(requests.filter(_is_in(part, trial.story, requests))), **of_pool)

    whole = TrialSummary(
        trial=trial,
        **_of_requests(requests),
        **_of_pool(trial, pool, events),
        woke_after_s=_first(events, Event.WOKEN),
        wakes=sum(
            1
            for period in away((row["event"], row["at_s"]) for row in events)
            if period.is_wake and period.ended_s is not None
        ),
        awake_s=awake_s(np.concatenate([numbers(requests, "end_s"), numbers(pool, "at_s")]), events)
        if trial.wake is not None
        else None,
        listener=[
            (row["event"], row["at_s"], row["value_s"]) for row in events if row["event"].startswith("listener_")
        ],
        listener_attempts=sum(1 for row in events if row["event"] in LISTENER_ATTEMPTS),
        wall_s=wall_s,
        complete=complete and requests.num_rows == scheduled,
        late_start_s=late,
        kept_schedule=late.get("p99", 0.0) <= LATE_P99_S and late.get("max", 0.0) <= LATE_MAX_S,
        answers=_answers(events),
        not_played=_not_played(events),
        wake_late_s=_wake_late_s(events),
        bursts_started_s=_bursts_started_s(events),
        disturbances=disturbances(trial, events),
        releases=_releases(requests, events),
        began_at_s=_began_at_s(events),
        part_of=part_of,
    )
    return whole


def _releases(requests: pa.Table, events: Rows) -> list[tuple[float, int]]:
    """When the database answered again, and how many requests were under way then."""
    arrival_s, end_s = numbers(requests, "arrival_s"), numbers(requests, "end_s")
    return [
        (row["at_s"], int(np.count_nonzero((arrival_s <= row["at_s"]) & (end_s > row["at_s"]))))
        for row in events
        if row["event"] == Event.WOKEN
    ]


def _began_at_s(events: Rows) -> float | None:
    """When the first burst began, in seconds since 1970."""
    for row in events:
        if row["event"] == Event.BURST_STARTED and (utc := json.loads(row["detail"] or "{}").get("utc")):
            return float(datetime.fromisoformat(utc).timestamp() - row["at_s"])
    return None


def _answers(events: Rows) -> dict[str, int]:
    details = (json.loads(row["detail"]) for row in events if row["event"] == Event.ANSWERED)
    return next(details, {})


def _not_played(events: Rows) -> dict[str, int]:
    details = [json.loads(row["detail"]) for row in events if row["event"] == Event.NOT_PLAYED]
    return {detail["what"]: detail["times"] for detail in details}


def _of_requests(requests: pa.Table) -> dict[str, Any]:
    """The fields of a summary that follow from the rows of its requests."""
    outcomes = counts(requests["outcome"])
    latency_s, attempts = numbers(requests, "latency_s"), numbers(requests, "attempts")
    ok = is_word(requests["outcome"], Outcome.OK)
    failed = chosen(requests, ~ok)
    return {
        "requests": requests.num_rows,
        "outcomes": {outcome: outcomes[outcome] for outcome in Outcome if outcome in outcomes},
        "latency_s": _quantiles(latency_s, p50=50, p95=95, p99=99, max=100),
        "checkout_wait_s": _quantiles(non_empty(requests, "checkout_s"), p50=50, p95=95, max=100),
        "waited_s": _waited_s(requests),
        "errors": counts(failed["error"]),
        "latencies_s": latency_s[np.argsort(numbers(requests, "number"), kind="stable")].tolist(),
        "ok_latencies_s": np.sort(latency_s[ok]).tolist(),
        "attempts": int(np.nansum(np.where(np.isnan(attempts), 1, attempts))),
        "idle_p95_s": _quantiles(non_empty(requests, "idle_s"), p95=95).get("p95"),
        "first_failure_s": float(numbers(failed, "end_s").min()) if failed.num_rows else None,
    }


def _waited_s(requests: pa.Table) -> float | None:
    """The time of these requests in the pool's queue; None where no answer said how long it was."""
    known = non_empty(requests, "checkout_s")
    return round(float(known.sum()), 6) if known.size or not requests.num_rows else None


def _of_pool(trial: Trial, pool: pa.Table, events: Rows) -> dict[str, Any]:
    """The fields of a summary that follow from the samples of the pools."""
    pools = by_instance(pool)
    alerts = [
        utilization_alert_s(sampled, trial.pool.pool_size, sustained_s=trial.story.alert_sustained_s)
        for sampled in pools
    ]
    return {
        "peak_checked_out": _peak(pool, "checked_out"),
        "peak_waiting": _peak(pool, "waiting"),
        "recovered_after_s": _recovered_after_s(pools, events),
        "utilization_alert_s": min((at_s for at_s in alerts if at_s is not None), default=None),
        "live_after": sum(int(numbers(sampled, "size")[-1]) for sampled in pools) if pools else None,
        **{name: _counted(pools, name) for name in ("connects", "connects_failed", "pings_failed")},
    }


def _pool_of(pool: pa.Table, instance: int) -> pa.Table:
    """The samples of one instance's pool."""
    return chosen(pool, instances(pool) == instance)


def _is_in(part: Part, story: Story, requests: pa.Table) -> np.ndarray:
    """For each request, whether it belongs to the part."""
    number = numbers(requests, "number").astype(int)
    found = np.ones(requests.num_rows, dtype=bool)
    if part.burst is not None:
        # Runs from before `Traffic` have no such column: their bursts came one after the other, and so did the numbers.
        ends = list(accumulate(burst.requests for burst in story.bursts))
        in_turn = np.searchsorted(ends, number, side="right")
        burst = numbers(requests, "burst")
        found &= np.where(np.isnan(burst), in_turn, burst) == part.burst
    if part.request is not None:
        found &= is_word(requests["request"], part.request)
    if part.instance is not None:
        ends = list(accumulate(load.requests for load in story.loads))
        first = np.array([0, *ends])[np.searchsorted(ends, number, side="right")]
        found &= (number - first) % story.instances == part.instance
    return found


def _bursts_started_s(events: Rows) -> dict[int, float]:
    """When each burst started, by its number; a story's only burst has none in its event."""
    started = [row for row in events if row["event"] == Event.BURST_STARTED]
    return {
        int(json.loads(row["detail"] or "{}").get("burst", place)): row["at_s"] for place, row in enumerate(started)
    }


def _counted(pools: Sequence[pa.Table], column: str) -> int | None:
    """What a counter of the pools had come to at the end, over all instances; None where it was not recorded."""
    last = [count.max() for sampled in pools if (count := numbers(sampled, column)).size]
    return None if not last or np.isnan(last).any() else int(sum(last))


def write_summary(summaries: Sequence[TrialSummary], path: Path) -> None:
    """Write summary.csv: one row for each trial."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[column.name for column in SUMMARY])
        writer.writeheader()
        writer.writerows(spreadsheet_row(summary.to_row()) for summary in summaries)


def _recovered_after_s(pools: Sequence[pa.Table], events: Rows) -> float | None:
    """When the last instance had recovered; None: one of them never, or there was nothing to recover from."""
    if any(row["event"] in AWAY for row in events):
        woke_after_s = _first(events, Event.WOKEN)
        return _last([recovered_after_s(sampled, woke_after_s) for sampled in pools])
    since_the_burst = [chosen(sampled, numbers(sampled, "at_s") >= 0) for sampled in pools]
    if not any(_peak(sampled, "waiting") for sampled in since_the_burst):
        return None
    return _last([calm_from_s(sampled) for sampled in since_the_burst])


def calm_from_s(pool: pa.Table) -> float | None:
    """The first sample from which on nobody waits and no connection is being made; None: that is so in no last one."""
    busy = np.flatnonzero((numbers(pool, "waiting") > 0) | (numbers(pool, "connecting") > 0))
    first = int(busy[-1]) + 1 if busy.size else 0
    return float(numbers(pool, "at_s")[first]) if first < pool.num_rows else None


def recovered_after_s(pool: pa.Table, woke_after_s: float | None) -> float | None:
    """When the first sample after the wake shows no waiting request and no connection being made; None: never."""
    if woke_after_s is None:
        return None
    at_s = numbers(pool, "at_s")
    calm = (at_s >= woke_after_s) & (numbers(pool, "waiting") == 0) & (numbers(pool, "connecting") == 0)
    return float(at_s[calm.argmax()]) if calm.any() else None


def awake_s(measured_at_s: np.ndarray, events: Rows) -> float:
    """Seconds from the first to the last moment, without the time in which the compute was suspended or waking."""
    moments = np.concatenate([measured_at_s, [row["at_s"] for row in events]])
    if not moments.size:
        return 0.0
    slept = 0.0
    asleep_since_s: float | None = None
    for row in events:
        if row["event"] == Event.SUSPENDED:
            asleep_since_s = row["at_s"]
        elif row["event"] == Event.WOKEN and asleep_since_s is not None:
            slept += row["at_s"] - asleep_since_s
            asleep_since_s = None
    if asleep_since_s is not None:
        slept += moments.max() - asleep_since_s
    return float(moments.max() - moments.min() - slept)


def utilization_alert_s(pool: pa.Table, pool_size: int, *, sustained_s: float = ALERT_SUSTAINED_S) -> float | None:
    """When an alert would have fired: checked_out / pool_size above ALERT_SHARE for `sustained_s`; None: never."""
    at_s = numbers(pool, "at_s")
    # From the first arrival on: what warming the pool takes is no traffic.
    above = (numbers(pool, "checked_out") / pool_size > ALERT_SHARE) & (at_s >= 0)
    edges = np.diff(above.astype(np.int8), prepend=0)
    began, ended = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    # A sample holds until the next one; a period that has not ended is known up to the last sample.
    until = np.append(ended, len(at_s) - 1)[: len(began)]
    long = at_s[until] - at_s[began] > sustained_s
    return float(at_s[began[long.argmax()]] + sustained_s) if long.any() else None


def _wake_late_s(events: Rows) -> dict[str, float]:
    names = {
        Event.FIRST_ATTEMPT: "detected",
        Event.WOKEN: "woken",
        Event.FIRST_RELEASED: "first_released",
        Event.LAST_RELEASED: "last_released",
    }
    late: dict[str, float] = {}
    for row in events:
        if row["event"] in names and row["value_s"] is not None:
            name = names[row["event"]]
            late[name] = max(late.get(name, 0.0), row["value_s"])
    return late


def _peak(pool: pa.Table, column: str) -> int | None:
    """The most of it at a time; None without a sample."""
    return int(numbers(pool, column).max()) if pool.num_rows else None


def _last(moments: Sequence[float | None]) -> float | None:
    """The last moment; None when one of them is None, or there are none."""
    came = [moment for moment in moments if moment is not None]
    return max(came) if came and len(came) == len(moments) else None


def _first(events: Rows, name: str) -> float | None:
    return next((row["at_s"] for row in events if row["event"] == name), None)


def _quantiles(values: np.ndarray, **percents: float) -> dict[str, float]:
    """The percentiles by name, by linear interpolation between the closest ranks; empty without values."""
    if not values.size:
        return {}
    found = np.percentile(values, list(percents.values()))
    return {name: round(float(value), 6) for name, value in zip(percents, found, strict=True)}
