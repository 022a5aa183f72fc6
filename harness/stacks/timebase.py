"""One trial's rows, moved from the monotonic clock to seconds from the start of its burst."""

import json
from typing import Any

from harness.model.events import Event
from harness.model.rows import PoolSample, RequestRow
from harness.stacks.base import Recorder, Row

MOMENTS = frozenset({"at_s", "arrival_s", "start_s", "end_s"})
"""The columns that are moments; the others that end in _s are durations."""


class TrialRows:
    """Takes rows stamped by the monotonic clock, keeps them until the burst's start is known, then passes them on."""

    def __init__(self, trial: int, recorder: Recorder) -> None:
        self._trial = trial
        self._recorder = recorder
        self._origin_s: float | None = None
        self._early: dict[str, list[Row]] = {"requests": [], "pool": [], "events": []}

    def burst_starts(self, at_s: float) -> None:
        """The first burst starts at this moment of the monotonic clock: it is zero from now on."""
        if self._origin_s is not None:
            return
        self._origin_s = at_s
        self.flush()

    def request(self, row: RequestRow) -> None:
        self._add("requests", {**_columns(row), "latency_s": row.end_s - row.arrival_s})

    def pool(self, sample: PoolSample, *, instance: int) -> None:
        self._add("pool", {**_columns(sample), "instance": instance})

    def event(self, event: Event, at_s: float, *, value_s: float | None = None, **detail: int | str) -> None:
        text = json.dumps(detail, sort_keys=True) if detail else None
        self._add("events", {"at_s": at_s, "event": event, "value_s": value_s, "detail": text})

    def flush(self) -> None:
        """Pass on what was kept; without a burst, zero is the first row's moment."""
        if self._origin_s is None:
            moments = [row[name] for rows in self._early.values() for row in rows for name in MOMENTS if name in row]
            self._origin_s = min(moments, default=0.0)
        for table, rows in self._early.items():
            self._pass_on(table, rows)
        self._early = {"requests": [], "pool": [], "events": []}

    def _add(self, table: str, row: Row) -> None:
        if self._origin_s is None:
            self._early[table].append(row)
        else:
            self._pass_on(table, [row])

    def _pass_on(self, table: str, rows: list[Row]) -> None:
        if not rows:
            return
        origin_s = self._origin_s or 0.0
        moved = [{name: value - origin_s if name in MOMENTS else value for name, value in row.items()} for row in rows]
        add = {
            "requests": self._recorder.add_requests,
            "pool": self._recorder.add_pool,
            "events": self._recorder.add_events,
        }[table]
        add(self._trial, moved)


def _columns(row: RequestRow | PoolSample) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__slots__}
