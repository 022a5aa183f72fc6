"""The timeline of a trial, from its events, requests and pool samples."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from harness.analysis.columns import by_instance, numbers
from harness.analysis.summarise import ALERT_SHARE
from harness.model.events import Event
from harness.model.outcomes import FAILURES
from harness.postmortem.incident import Incident

MAX_REPEATED = 3
"""How often the timeline shows the same event of the database."""
MAX_LISTENER_EVENTS = 6
LISTENER_WORDS: dict[str, str] = {
    Event.LISTENER_CONNECTED: "The queue listener listens again",
    Event.LISTENER_HEARTBEAT_FAILED: "The queue listener's heartbeat fails",
    Event.LISTENER_DISCONNECTED: "The queue listener drops its connection",
    Event.LISTENER_CONNECT_FAILED: "The queue listener fails to connect",
}


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened, in seconds from the start of the burst."""

    at_s: float
    what: str

    def relative(self) -> str:
        """`+8.1 s`; from ten minutes on `+12 min 5 s`."""
        seconds = abs(self.at_s)
        sign = "−" if self.at_s < -0.0005 else "+"
        if seconds >= 600:
            return f"{sign}{seconds // 60:.0f} min {seconds % 60:.0f} s"
        return f"{sign}{seconds:.3f} s" if seconds < 1 else f"{sign}{seconds:.1f} s"

    def utc(self, began_at: datetime) -> str:
        """The time of day, to a tenth of a second."""
        moment = began_at + timedelta(seconds=self.at_s)
        return f"{moment:%H:%M:%S}.{moment.microsecond // 100_000}"


def timeline(incident: Incident) -> list[Moment]:
    """The moments of the trial `first`, in order of time."""
    trial = incident.first.trial
    requests, pool = incident.run.rows(trial, "requests"), incident.run.rows(trial, "pool")
    events = incident.run.rows(trial, "events").to_pylist()
    moments = [*_database(events), *_listener(events), *_requests(requests), *_pool(incident, pool)]
    return sorted(moments, key=lambda moment: moment.at_s)


def _database(events: list[dict[str, object]]) -> Iterator[Moment]:
    words: dict[str, str] = {
        Event.WARMED: "The pool has been filled",
        Event.SUSPENDED: "The database suspends",
        Event.SLOW: "A round trip to the database begins to take longer",
        Event.OUTAGE: "The database goes away",
        Event.CONNECTIONS_LOST: "Some of the open connections die",
        Event.POOL_REPLACED: "A deploy: an instance gets a new, empty pool",
        Event.FIRST_ATTEMPT: "The first connection attempt: the database begins to wake",
        Event.WOKEN: "The database answers again",
    }
    counts: dict[str, int] = {}
    for event in events:
        name = str(event["event"])
        if name in words:
            counts[name] = counts.get(name, 0) + 1
            if counts[name] <= MAX_REPEATED:
                yield Moment(float(str(event["at_s"])), words[name])
            elif counts[name] == MAX_REPEATED + 1:
                more = sum(1 for other in events if other["event"] == name) - MAX_REPEATED
                yield Moment(float(str(event["at_s"])), f"{words[name]}, for the first of {more} more times")


def _listener(events: list[dict[str, object]]) -> Iterator[Moment]:
    of_listener = [event for event in events if event["event"] in LISTENER_WORDS]
    # The listener had connected before the trial; of many events only the first ones and the last two are shown.
    of_listener = (
        of_listener[1:] if of_listener and of_listener[0]["event"] == Event.LISTENER_CONNECTED else of_listener
    )
    shown = (
        of_listener
        if len(of_listener) <= MAX_LISTENER_EVENTS
        else [*of_listener[: MAX_LISTENER_EVENTS - 2], *of_listener[-2:]]
    )
    for event in shown:
        detail = json.loads(str(event["detail"])) if event["detail"] else {}
        error = f" ({detail['error']})" if "error" in detail else ""
        took = event["value_s"]
        after = f" after {float(str(took)):.1f} s" if took is not None and float(str(took)) >= 0.1 else ""
        yield Moment(float(str(event["at_s"])), f"{LISTENER_WORDS[str(event['event'])]}{after}{error}")


def _requests(requests: pa.Table) -> Iterator[Moment]:
    if not requests.num_rows:
        return
    arrival_s, end_s = numbers(requests, "arrival_s"), numbers(requests, "end_s")
    yield Moment(float(arrival_s.min()), "The first request arrives")
    yield Moment(float(arrival_s.max()), "The last request arrives")
    yield Moment(float(end_s.max()), "The last request has ended")
    for outcome in FAILURES:
        failed = requests.filter(pc.equal(requests["outcome"], outcome.value))
        if failed.num_rows:
            ended_s = numbers(failed, "end_s")
            answered = "without an answer" if outcome.http_status is None else f"is answered ({outcome.http_status})"
            yield Moment(float(ended_s.min()), f"The first {outcome} {answered}")
            if failed.num_rows > 1:
                yield Moment(float(ended_s.max()), f"The last of {failed.num_rows} {outcome}")


def _pool(incident: Incident, pool: pa.Table) -> Iterator[Moment]:
    summary, configuration = incident.first, incident.first.trial.pool
    # Samples before the burst are left out: while the pool is being filled, nobody waits in its queue.
    for samples in by_instance(pool.filter(pc.greater_equal(pool["at_s"], 0.0))):
        at_s, in_use, waiting = (numbers(samples, name) for name in ("at_s", "checked_out", "waiting"))
        whose = "A pool" if summary.trial.story.instances > 1 else "The pool"
        for mask, what in (
            (in_use >= configuration.capacity, f"{whose} is full: all {configuration.capacity} slots in use"),
            (waiting > 0, "The first request waits in the pool's queue"),
        ):
            if mask.any():
                yield Moment(float(at_s[np.argmax(mask)]), what)
        if waiting.size and waiting.max() > 0:
            yield Moment(float(at_s[np.argmax(waiting)]), f"The queue is at its longest: {waiting.max():.0f} requests")
        break
    if summary.utilization_alert_s is not None:
        yield Moment(summary.utilization_alert_s, f"An alert on {ALERT_SHARE:.0%} of the pool in use would have come")
    if summary.recovered_after_s is not None:
        yield Moment(summary.recovered_after_s, "Recovered: nobody waits, no connection is being made")
