"""Whether a trial measured its pool, or something else: what stood still, crashed, or was too much for the machine.

Each trial is judged by its own events first, then all of a run beside each other. The bounds and the words are in
harness/model/doubt.py.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.analysis.labels import Names
from harness.analysis.sentences import listed
from harness.model.arrivals import RequestName
from harness.model.doubt import (
    CALM_P50_S,
    RELEASE_WINDOW_S,
    STALLS,
    Component,
    Doubt,
    Reason,
    release_budget,
    stall_bound_s,
)
from harness.model.events import Event
from harness.model.story import Story
from harness.model.summary import TrialSummary
from harness.model.timeline import Slow
from harness.model.trial import Trial

QUICK = frozenset({RequestName.READ_TRACK, RequestName.LIST_TRACKS, RequestName.WRITE_PLAY})
"""Requests of the service that take milliseconds while the database is awake."""


def disturbances(trial: Trial, events: Sequence[Mapping[str, Any]]) -> tuple[Doubt, ...]:
    """Of one trial by itself: the longest stall of each part, where it is longer than its bound, and a restart.

    A stall that was over before the first burst began changes nothing.
    """
    bound_s = stall_bound_s(trial.story, trial.pool)
    longest: dict[Component, Doubt] = {}
    restarted: list[Doubt] = []
    for row in events:
        if row["event"] == Event.RESTARTED:
            restarted = restarted or [Doubt(Reason.POSTGRES_RESTARTED, at_s=row["at_s"])]
        elif row["event"] == Event.STALLED and row["value_s"] > bound_s and row["at_s"] + row["value_s"] > 0:
            part = Component(json.loads(row["detail"])["part"])
            if part not in longest or row["value_s"] > (longest[part].value or 0.0):
                longest[part] = Doubt(STALLS[part], row["value_s"], bound_s, row["at_s"])
    return (*restarted, *(longest[part] for part in Component if part in longest))


def beside_each_other(summaries: Sequence[TrialSummary], *, cores: int) -> list[TrialSummary]:
    """The same summaries, with what disturbed them beside each other, on a machine with so many cores.

    That is what their wakes released at the same moment, in all; and a control that is none, for what is compared with
    it too.
    """
    crowds = _crowds(summaries)
    budget = release_budget(cores)
    calm = [_not_calm(summary) for summary in summaries]
    not_calm = {_same_but_the_wake(one.trial): doubt for one, doubt in zip(summaries, calm, strict=True) if doubt}
    found = []
    for summary, (crowd, at_s) in zip(summaries, crowds, strict=True):
        more = [Doubt(Reason.RELEASED_TOO_MANY, crowd, budget, at_s)] if crowd > budget else []
        if (doubt := not_calm.get(_same_but_the_wake(summary.trial))) is not None:
            more.append(doubt)
        found.append(replace(summary, disturbances=(*summary.disturbances, *more)) if more else summary)
    return found


def by_reason(summaries: Sequence[TrialSummary]) -> dict[Reason, list[TrialSummary]]:
    """The trials that are no measurement, by each of their reasons."""
    return {
        reason: marked
        for reason in Reason
        if (marked := [one for one in summaries if any(doubt.reason is reason for doubt in one.doubts)])
    }


def marked_trials(summaries: Sequence[TrialSummary], names: Names, *, most: int) -> str:
    """Those that are no measurement, by configuration and wake, at most so many by name; empty: all are."""
    marked = [one for one in summaries if not one.is_measurement]
    labels = dict.fromkeys(f"{names[one.trial.configuration]} at {one.trial.wake_label}" for one in marked)
    return listed(list(labels), most=most) if marked else ""


def worst_of(reason: Reason, summaries: Sequence[TrialSummary]) -> Doubt:
    """The doubt with the largest number of those with this reason."""
    found = [doubt for summary in summaries for doubt in summary.doubts if doubt.reason is reason]
    return max(found, key=lambda doubt: doubt.value or 0.0)


def _crowds(summaries: Sequence[TrialSummary]) -> list[tuple[int, float | None]]:
    """For each trial, the most requests that were released within a moment of one of its wakes, by all; and when."""
    releases = [
        (summary.began_at_s + at_s, count)
        for summary in summaries
        if summary.began_at_s is not None
        for at_s, count in summary.releases
    ]
    found: list[tuple[int, float | None]] = []
    for summary in summaries:
        most: tuple[int, float | None] = (0, None)
        for at_s, _ in summary.releases if summary.began_at_s is not None else ():
            woke_s = (summary.began_at_s or 0.0) + at_s
            together = sum(count for other_s, count in releases if abs(other_s - woke_s) < RELEASE_WINDOW_S)
            most = max(most, (together, at_s), key=lambda crowd: crowd[0])
        found.append(most)
    return found


def _not_calm(summary: TrialSummary) -> Doubt | None:
    """Why a control is none; None: it is one, or nothing is known of how long its requests take by themselves."""
    p50_s = summary.latency_s.get("p50", 0.0)
    if not summary.trial.is_control or summary.began_at_s is None or not _is_quick(summary.trial.story):
        return None
    return Doubt(Reason.NOT_CALM, p50_s, CALM_P50_S) if p50_s > CALM_P50_S else None


def _is_quick(story: Story) -> bool:
    """Whether all that is asked for takes milliseconds by itself."""
    slow = story.connect_cost is not None or any(isinstance(phase, Slow) for phase in story.phases)
    return not slow and all(request in QUICK for burst in story.bursts for request, _ in burst.mix.weights)


def _same_but_the_wake(trial: Trial) -> tuple[Any, ...]:
    """What a trial has in common with its control."""
    return trial.configuration, trial.variant, trial.seed
