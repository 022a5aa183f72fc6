"""The pool's timeline: connections in use and being made, the queue on top, and the pool's capacity as a line."""

import textwrap
from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure

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
from harness.summary import TrialSummary

LAYERS = {"in use": "#0072b2", "connecting": "#e69f00", "waiting in the queue": "#d9c3e8"}
LEAD_S = 1.0
"""How much of the time before the burst is shown."""
HEADROOM = 1.25


def pool_chart(run: Run, met: Sequence[TrialSummary]) -> Figure:
    """The pools of the trials that met one wake: what is above the capacity waits."""
    longest = max(met, key=lambda one: one.peak_waiting)
    name = named(run, longest.trial.configuration, width=200)
    wake = capitalised(met[0].trial.wake_words)
    grows = f"the queue of {name} grows longest, to {longest.peak_waiting} requests"
    title = f"{wake}: {grows if longest.peak_waiting else 'no request waits in a queue'}"
    figure, panels = stacked_panels(len(met), title=title, panel_in=0.95)
    for panel, one in zip(panels, met, strict=True):
        rows = run.of(one.trial, "pool")
        if one.trial.scenario.instances > 1:
            # One stands for all: requests go to them in turn.
            rows = rows[rows["instance"] == 0]
        rows = changes(rows[rows["at_s"] >= -LEAD_S])
        in_use = (rows["checked_out"] - rows["connecting"]).clip(lower=0)
        layers = (in_use, rows["connecting"], rows["waiting"])
        mark_wake(panel, run, one.trial, label="top" if panel is panels[0] else None)
        panel.stackplot(
            rows["at_s"].to_numpy(dtype=float),
            *(layer.to_numpy(dtype=float) for layer in layers),
            colors=list(LAYERS.values()),
            labels=list(LAYERS) if panel is panels[0] else [],
            step="post",
            linewidth=0,
            rasterized=len(rows) > MANY,
        )
        capacity = one.trial.pool.capacity
        panel.axhline(capacity, color=ink(), linewidth=0.7, linestyle="--", label="capacity")
        name = named(run, one.trial.configuration, width=200)
        panel.set_title(textwrap.fill(f"{name}: capacity {capacity}, up to {one.peak_waiting} wait", PANEL_WIDTH))
        panel.set_ylabel("requests")
    panels[0].set_ylim(0, HEADROOM * max(one.peak_waiting + one.trial.pool.capacity for one in met))
    panels[-1].set_xlabel("time since the burst began [s]")
    line_legend(figure, panels, ncols=4)
    return figure


def changes(rows: pd.DataFrame) -> pd.DataFrame:
    """The samples at which something changes, and the last one: as steps they draw the same timeline."""
    counts = rows[["checked_out", "connecting", "waiting"]]
    changed = (counts != counts.shift()).any(axis=1)
    changed.iloc[-1:] = True
    return rows[changed]
