"""The pool's timeline: connections in use and being made, the queue on top, and the pool's capacity as a line."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis.charts.instances import together
from harness.analysis.charts.paper import (
    PANEL_WIDTH,
    capitalised,
    ink,
    line_legend,
    many,
    mark_wake,
    named,
    stacked_panels,
)
from harness.analysis.load import Run
from harness.analysis.sentences import MAX_IN_TITLE, listed, ranking
from harness.model.summary import TrialSummary

LAYERS = {"in use": "#0072b2", "connecting": "#e69f00", "waiting in the queue": "#d9c3e8"}
HEADROOM = 1.25


def pool_chart(run: Run, summaries: Sequence[TrialSummary]) -> Figure:
    """The pools of the trials that met one wake; requests above the capacity line wait."""
    timelines = [
        together(run.of(summary.trial, "pool"), ["checked_out", "connecting", "waiting"]) for summary in summaries
    ]
    figure, panels = stacked_panels(len(summaries), title=_title(run, summaries, timelines), panel_in=0.95)
    highest = 0
    for panel, summary, rows in zip(panels, summaries, timelines, strict=True):
        in_use = (rows["checked_out"] - rows["connecting"]).clip(lower=0)
        layers = (in_use, rows["connecting"], rows["waiting"])
        mark_wake(panel, run, summary.trial, label="top" if panel is panels[0] else None)
        panel.stackplot(
            rows.index.to_numpy(dtype=float),
            *(layer.to_numpy(dtype=float) for layer in layers),
            colors=list(LAYERS.values()),
            labels=list(LAYERS) if panel is panels[0] else [],
            step="post",
            linewidth=0,
            rasterized=len(rows) > many(),
        )
        instances, waiting = summary.trial.story.instances, _most_waiting(summary, rows)
        capacity = summary.trial.pool.capacity * instances
        highest = max(highest, waiting + capacity)
        panel.axhline(capacity, color=ink(), linewidth=0.7, linestyle="--", label="capacity")
        name = named(run, summary.trial.configuration, width=200)
        whose = f" on {instances} instances" if instances > 1 else ""
        panel.set_title(textwrap.fill(f"{name}{whose}: capacity {capacity}, up to {waiting} wait", PANEL_WIDTH))
        panel.set_ylabel("requests")
    panels[0].set_ylim(0, HEADROOM * highest)
    panels[-1].set_xlabel("time since the burst began [s]")
    line_legend(figure, panels, ncols=4)
    return figure


def _most_waiting(summary: TrialSummary, rows: pd.DataFrame) -> int:
    """The most requests that wait at one time, in the queues of all instances."""
    if summary.peak_waiting is None or summary.trial.story.instances > 1:
        return int(rows["waiting"].max())
    return summary.peak_waiting


def _title(run: Run, summaries: Sequence[TrialSummary], timelines: Sequence[pd.DataFrame]) -> str:
    wake = capitalised(summaries[0].trial.wake_words)
    longest = ranking({
        named(run, summary.trial.configuration, width=200): _most_waiting(summary, rows)
        for summary, rows in zip(summaries, timelines, strict=True)
    })  # fmt: skip
    if longest.most == 0:
        return f"{wake}: no request waits in a queue"
    if longest.all_alike:
        return f"{wake}: up to {longest.most:.0f} requests wait in the queue{' of each' if len(summaries) > 1 else ''}"
    whose = listed(longest.highest, most=MAX_IN_TITLE)
    return f"{wake}: the queue is longest with {whose}, {longest.most:.0f} requests"
