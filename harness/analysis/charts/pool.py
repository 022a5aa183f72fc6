"""The pool's timeline: connections in use and being made, the queue on top, and the pool's capacity as a line."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

from harness.analysis.charts.instances import together
from harness.analysis.charts.paper import (
    MANY,
    PANEL_WIDTH,
    capitalised,
    ink,
    line_legend,
    mark_wake,
    named,
    stacked_panels,
)
from harness.analysis.load import Run
from harness.analysis.sentences import MOST_IN_TITLE, listed, ranking
from harness.model.summary import TrialSummary

LAYERS = {"in use": "#0072b2", "connecting": "#e69f00", "waiting in the queue": "#d9c3e8"}
HEADROOM = 1.25


def pool_chart(run: Run, met: Sequence[TrialSummary]) -> Figure:
    """The pools of the trials that met one wake: what is above the capacity waits."""
    timelines = [together(run.of(one.trial, "pool"), ["checked_out", "connecting", "waiting"]) for one in met]
    figure, panels = stacked_panels(len(met), title=_title(run, met, timelines), panel_in=0.95)
    highest = 0
    for panel, one, rows in zip(panels, met, timelines, strict=True):
        in_use = (rows["checked_out"] - rows["connecting"]).clip(lower=0)
        layers = (in_use, rows["connecting"], rows["waiting"])
        mark_wake(panel, run, one.trial, label="top" if panel is panels[0] else None)
        panel.stackplot(
            rows.index.to_numpy(dtype=float),
            *(layer.to_numpy(dtype=float) for layer in layers),
            colors=list(LAYERS.values()),
            labels=list(LAYERS) if panel is panels[0] else [],
            step="post",
            linewidth=0,
            rasterized=len(rows) > MANY,
        )
        instances, waiting = one.trial.story.instances, _most_waiting(one, rows)
        capacity = one.trial.pool.capacity * instances
        highest = max(highest, waiting + capacity)
        panel.axhline(capacity, color=ink(), linewidth=0.7, linestyle="--", label="capacity")
        name = named(run, one.trial.configuration, width=200)
        whose = f" on {instances} instances" if instances > 1 else ""
        panel.set_title(textwrap.fill(f"{name}{whose}: capacity {capacity}, up to {waiting} wait", PANEL_WIDTH))
        panel.set_ylabel("requests")
    panels[0].set_ylim(0, HEADROOM * highest)
    panels[-1].set_xlabel("time since the burst began [s]")
    line_legend(figure, panels, ncols=4)
    return figure


def _most_waiting(one: TrialSummary, rows: pd.DataFrame) -> int:
    """In the queues of all instances at a time."""
    return one.peak_waiting if one.trial.story.instances == 1 else int(rows["waiting"].max())


def _title(run: Run, met: Sequence[TrialSummary], timelines: Sequence[pd.DataFrame]) -> str:
    wake = capitalised(met[0].trial.wake_words)
    longest = ranking({
        named(run, one.trial.configuration, width=200): _most_waiting(one, rows)
        for one, rows in zip(met, timelines, strict=True)
    })  # fmt: skip
    if longest.most == 0:
        return f"{wake}: no request waits in a queue"
    if longest.all_alike:
        return f"{wake}: up to {longest.most:.0f} requests wait in the queue{' of each' if len(met) > 1 else ''}"
    whose = listed(longest.highest, most=MOST_IN_TITLE)
    return f"{wake}: the queue is longest with {whose}, {longest.most:.0f} requests"
