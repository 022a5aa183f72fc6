"""What one trial came to, from its rows. A function of values: the same for every stack and for runs read back."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np

from harness.outcomes import Outcome
from harness.scenario import ALERT_SUSTAINED_S
from harness.summary import TrialSummary
from harness.trial import Trial

ALERT_SHARE = 0.8
"""The reference service alerts when checked_out / pool_size is above 80 % for a sustained period."""
LATE_P99_S = 0.05
LATE_MAX_S = 0.5
"""A load generator that started its requests later than this did not keep its schedule."""

Rows = Sequence[Mapping[str, Any]]


def summarise(
    trial: Trial, *, requests: Rows, pool: Rows, events: Rows, wall_s: float, complete: bool = True
) -> TrialSummary:
    """The summary of one trial from its rows of the three tables, each sorted by time."""
    outcomes = Counter(row["outcome"] for row in requests)
    late = _quantiles([row["start_s"] - row["arrival_s"] for row in requests], p99=99, max=100)
    scheduled = sum(burst.requests for burst in trial.scenario.bursts)
    woke_after_s = _first(events, "woken")
    pools = _by_instance(pool)
    return TrialSummary(
        trial=trial,
        requests=len(requests),
        outcomes={outcome: outcomes[outcome] for outcome in Outcome if outcomes[outcome]},
        latency_s=_quantiles([row["latency_s"] for row in requests], p50=50, p95=95, p99=99, max=100),
        checkout_wait_s=_quantiles(
            [row["checkout_s"] for row in requests if row.get("checkout_s") is not None], p50=50, p95=95, max=100
        ),
        peak_checked_out=max((row["checked_out"] for row in pool), default=0),
        peak_waiting=max((row["waiting"] for row in pool), default=0),
        woke_after_s=woke_after_s,
        recovered_after_s=_last([recovered_after_s(rows, woke_after_s) for rows in pools]),
        utilization_alert_s=min(
            (
                at_s
                for rows in pools
                if (
                    at_s := utilization_alert_s(
                        rows, trial.pool.pool_size, sustained_s=trial.scenario.alert_sustained_s
                    )
                )
                is not None
            ),
            default=None,
        ),
        errors=dict(Counter(row["error"] for row in requests if row["outcome"] != Outcome.OK)),
        latencies_s=[row["latency_s"] for row in sorted(requests, key=itemgetter("number"))],
        attempts=sum(row.get("attempts") or 1 for row in requests),
        wakes=sum(1 for row in events if row["event"] == "woken"),
        awake_s=awake_s([*requests, *pool], events) if trial.wake is not None else None,
        live_after=sum(rows[-1]["size"] for rows in pools) if pools else None,
        idle_p95_s=_quantiles([row["idle_s"] for row in requests if row.get("idle_s") is not None], p95=95).get("p95"),
        listener=[
            (row["event"], row["at_s"], row["value_s"]) for row in events if row["event"].startswith("listener_")
        ],
        first_failure_s=min((row["end_s"] for row in requests if row["outcome"] != Outcome.OK), default=None),
        wall_s=wall_s,
        complete=complete and len(requests) == scheduled,
        late_start_s=late,
        kept_schedule=late.get("p99", 0.0) <= LATE_P99_S and late.get("max", 0.0) <= LATE_MAX_S,
        wake_late_s=_wake_late_s(events),
    )


def write_summary(summaries: Sequence[TrialSummary], path: Path) -> None:
    """summary.csv: a row a trial."""
    rows = [one.to_row() for one in summaries]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)


def recovered_after_s(pool: Rows, woke_after_s: float | None) -> float | None:
    """The first sample after the wake in which nobody waits and no connection is being made."""
    if woke_after_s is None:
        return None
    calm: Iterator[float] = (
        row["at_s"] for row in pool if row["at_s"] >= woke_after_s and row["waiting"] == 0 == row["connecting"]
    )
    return next(calm, None)


def awake_s(measured: Rows, events: Rows) -> float:
    """Seconds between the first and the last row in which the compute was neither suspended nor waking."""
    moments = [row.get("end_s", row.get("at_s")) for row in measured] + [row["at_s"] for row in events]
    if not moments:
        return 0.0
    slept = 0.0
    asleep_since_s: float | None = None
    for row in events:
        if row["event"] == "suspended":
            asleep_since_s = row["at_s"]
        elif row["event"] == "woken" and asleep_since_s is not None:
            slept += row["at_s"] - asleep_since_s
            asleep_since_s = None
    if asleep_since_s is not None:
        slept += max(moments) - asleep_since_s
    return float(max(moments) - min(moments) - slept)


def utilization_alert_s(pool: Rows, pool_size: int, *, sustained_s: float = ALERT_SUSTAINED_S) -> float | None:
    """When an alert on checked_out / pool_size would have fired: above the share for the sustained time."""
    above_since_s: float | None = None
    for row in pool:
        # What a sample says holds until the next one.
        if above_since_s is not None and row["at_s"] - above_since_s > sustained_s:
            return above_since_s + sustained_s
        if row["checked_out"] / pool_size <= ALERT_SHARE:
            above_since_s = None
        elif above_since_s is None:
            above_since_s = row["at_s"]
    return None


def _wake_late_s(events: Rows) -> dict[str, float]:
    names = {
        "first_attempt": "detected",
        "woken": "woken",
        "first_released": "first_released",
        "last_released": "last_released",
    }
    late: dict[str, float] = {}
    for row in events:
        if row["event"] in names and row["value_s"] is not None:
            name = names[row["event"]]
            late[name] = max(late.get(name, 0.0), row["value_s"])
    return late


def _by_instance(pool: Rows) -> list[list[Mapping[str, Any]]]:
    """The samples of each instance's pool."""
    found: dict[int, list[Mapping[str, Any]]] = {}
    for row in pool:
        found.setdefault(row.get("instance") or 0, []).append(row)
    return list(found.values())


def _last(moments: Sequence[float | None]) -> float | None:
    """The last of them; None where one never came."""
    came = [one for one in moments if one is not None]
    return max(came) if came and len(came) == len(moments) else None


def _first(events: Rows, name: str) -> float | None:
    return next((row["at_s"] for row in events if row["event"] == name), None)


def _quantiles(values: Sequence[float], **percents: float) -> dict[str, float]:
    """By linear interpolation between the closest ranks; nothing of nothing."""
    if not values:
        return {}
    found = np.percentile(np.asarray(values, dtype=float), list(percents.values()))
    return {name: round(float(value), 6) for name, value in zip(percents, found, strict=True)}
