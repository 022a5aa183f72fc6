"""Every request as a line from its arrival to its end, coloured by its outcome; a panel for each pool."""

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from harness.analysis.charts.paper import (
    PANEL_WIDTH,
    capitalised,
    many,
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


def requests_chart(run: Run, summaries: Sequence[TrialSummary]) -> Figure:
    """The requests of the trials that met one wake."""
    figure, panels = stacked_panels(len(summaries), title=_title(run, summaries), panel_in=1.05)
    for panel, summary in zip(panels, summaries, strict=True):
        rows = run.of(summary.trial, "requests")
        mark_wake(panel, run, summary.trial, label="bottom" if panel is panels[0] else None)
        # Failures are drawn last, so that a hundred successful requests do not hide one that failed.
        for outcome in Outcome:
            with_outcome = rows[rows["outcome"] == outcome.value]
            number = with_outcome["number"].to_numpy(dtype=float)
            begin, end = with_outcome["arrival_s"].to_numpy(dtype=float), with_outcome["end_s"].to_numpy(dtype=float)
            colour, rasterized = outcome_colour(outcome), len(rows) > many()
            # One path with gaps: drawing each of a hundred thousand lines by itself takes a hundred times as long.
            gap = np.full(len(with_outcome), np.nan)
            panel.plot(
                np.stack([begin, end, gap], axis=1).ravel(), np.stack([number, number, gap], axis=1).ravel(),
                color=colour, linewidth=0.7, solid_capstyle="butt", rasterized=rasterized,
            )  # fmt: skip
            # Mark the end: an immediate answer would be invisible otherwise.
            panel.plot(end, number, linestyle="", marker=".", markersize=1.6, color=colour, rasterized=rasterized)
        name = named(run, summary.trial.configuration, width=200)
        panel.set_title(textwrap.fill(f"{name}: {summary.failed} of {summary.requests} fail", PANEL_WIDTH))
        panel.set_ylim(len(rows), -1)
        panel.set_ylabel("request")
    panels[-1].set_xlabel("time since the burst began [s]")
    outcome_legend(figure, (outcome for summary in summaries for outcome in summary.outcomes))
    return figure


def _title(run: Run, summaries: Sequence[TrialSummary]) -> str:
    failures = {
        named(run, summary.trial.configuration, width=200): Failures(summary.failed, summary.requests)
        for summary in summaries
    }
    return f"{capitalised(summaries[0].trial.wake_words)}: {who_fails(failures, title=True)}"
