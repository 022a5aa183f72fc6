"""Every request as a line from its arrival to its end, coloured by its outcome; a panel a pool."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from harness.analysis.charts.paper import (
    MANY,
    PANEL_WIDTH,
    capitalised,
    mark_wake,
    named,
    outcome_colour,
    outcome_legend,
    stacked_panels,
)
from harness.analysis.load import Run
from harness.analysis.sentences import Failures, who_fails
from harness.model.outcomes import Outcome
from harness.model.summary import TrialSummary


def requests_chart(run: Run, met: Sequence[TrialSummary]) -> Figure:
    """The requests of the trials that met one wake."""
    figure, panels = stacked_panels(len(met), title=_title(run, met), panel_in=1.05)
    for panel, one in zip(panels, met, strict=True):
        rows = run.of(one.trial, "requests")
        mark_wake(panel, run, one.trial, label="bottom" if panel is panels[0] else None)
        # Failures are drawn last: where lines are close, one is not hidden by a hundred that went well.
        for outcome in Outcome:
            some = rows[rows["outcome"] == outcome.value]
            number = some["number"].to_numpy(dtype=float)
            begin, end = some["arrival_s"].to_numpy(dtype=float), some["end_s"].to_numpy(dtype=float)
            colour, many = outcome_colour(outcome), len(rows) > MANY
            # One path with gaps: a hundred thousand lines of their own take a hundred times as long.
            gap = np.full(len(some), np.nan)
            panel.plot(
                np.stack([begin, end, gap], axis=1).ravel(), np.stack([number, number, gap], axis=1).ravel(),
                color=colour, linewidth=0.7, solid_capstyle="butt", rasterized=many,
            )  # fmt: skip
            # Where it ended: an answer that came at once would not be seen otherwise.
            panel.plot(end, number, linestyle="", marker=".", markersize=1.6, color=colour, rasterized=many)
        name = named(run, one.trial.configuration, width=200)
        panel.set_title(textwrap.fill(f"{name}: {one.failed} of {one.requests} fail", PANEL_WIDTH))
        panel.set_ylim(len(rows), -1)
        panel.set_ylabel("request")
    panels[-1].set_xlabel("time since the burst began [s]")
    outcome_legend(figure, (outcome for one in met for outcome in one.outcomes))
    return figure


def _title(run: Run, met: Sequence[TrialSummary]) -> str:
    failures = {named(run, one.trial.configuration, width=200): Failures(one.failed, one.requests) for one in met}
    return f"{capitalised(met[0].trial.wake_words)}: {who_fails(failures, title=True)}"
