"""The summary of a trial, computed from its rows in the same way for every stack and for runs read from disk."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.analysis.columns import by_instance, non_empty, numbers
from harness.model.events import Event
from harness.model.outcomes import Outcome
from harness.model.story import ALERT_SUSTAINED_S
from harness.model.summary import SUMMARY, TrialSummary
from harness.model.trial import Trial

ALERT_SHARE = 0.8
"""The reference service alerts when checked_out / pool_size is above 80 % for a sustained period."""
LATE_P99_S = 0.05
LATE_MAX_S = 0.5
"""A load generator that started its requests later than this did not keep its schedule."""

Rows = Sequence[Mapping[str, Any]]


def summarise(
    trial: Trial, *, requests: pa.Table, pool: pa.Table, events: Rows, wall_s: float, complete: bool = True
) -> TrialSummary:
    """The summary of one trial from its rows of the three tables, each sorted by time.

    Requests and samples are many and stay in columns (harness/model/columns.py); events are few.
    """
    outcomes = _counts(requests["outcome"])
    late = _quantiles(numbers(requests, "start_s") - numbers(requests, "arrival_s"), p99=99, max=100)
    latency_s = numbers(requests, "latency_s")
    scheduled = sum(burst.requests for burst in trial.story.bursts)
    woke_after_s = _first(events, Event.WOKEN)
    pools = by_instance(pool)
    failed = requests.filter(pc.not_equal(requests["outcome"], Outcome.OK.value))
    alerts = [
        utilization_alert_s(sampled, trial.pool.pool_size, sustained_s=trial.story.alert_sustained_s)
        for sampled in pools
    ]
    return TrialSummary(
        trial=trial,
        requests=requests.num_rows,
        outcomes={outcome: outcomes[outcome] for outcome in Outcome if outcome in outcomes},
        latency_s=_quantiles(latency_s, p50=50, p95=95, p99=99, max=100),
        checkout_wait_s=_quantiles(non_empty(requests, "checkout_s"), p50=50, p95=95, max=100),
        peak_checked_out=_peak(pool, "checked_out"),
        peak_waiting=_peak(pool, "waiting"),
        woke_after_s=woke_after_s,
        recovered_after_s=_last([recovered_after_s(sampled, woke_after_s) for sampled in pools]),
        utilization_alert_s=min((at_s for at_s in alerts if at_s is not None), default=None),
        errors=_counts(failed["error"]),
        latencies_s=latency_s[np.argsort(numbers(requests, "number"), kind="stable")].tolist(),
        attempts=int(np.nansum(np.where(np.isnan(attempts := numbers(requests, "attempts")), 1, attempts))),
        wakes=sum(1 for row in events if row["event"] == Event.WOKEN),
        awake_s=awake_s(np.concatenate([numbers(requests, "end_s"), numbers(pool, "at_s")]), events)
        if trial.wake is not None
        else None,
        live_after=sum(int(numbers(sampled, "size")[-1]) for sampled in pools) if pools else None,
        idle_p95_s=_quantiles(non_empty(requests, "idle_s"), p95=95).get("p95"),
        listener=[
            (row["event"], row["at_s"], row["value_s"]) for row in events if row["event"].startswith("listener_")
        ],
        first_failure_s=float(numbers(failed, "end_s").min()) if failed.num_rows else None,
        wall_s=wall_s,
        complete=complete and requests.num_rows == scheduled,
        late_start_s=late,
        kept_schedule=late.get("p99", 0.0) <= LATE_P99_S and late.get("max", 0.0) <= LATE_MAX_S,
        wake_late_s=_wake_late_s(events),
    )


def write_summary(summaries: Sequence[TrialSummary], path: Path) -> None:
    """Write summary.csv: one row for each trial."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=[column.name for column in SUMMARY])
        writer.writeheader()
        writer.writerows(summary.to_row() for summary in summaries)


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
    above = numbers(pool, "checked_out") / pool_size > ALERT_SHARE
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


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    """How often each value occurs, in the order of first occurrence."""
    return {entry["values"]: entry["counts"] for entry in pc.value_counts(column.combine_chunks()).to_pylist()}


def _peak(pool: pa.Table, column: str) -> int:
    return int(numbers(pool, column).max()) if pool.num_rows else 0


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
