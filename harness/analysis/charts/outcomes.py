"""The outcomes of the requests: a bar for each pool configuration, a panel for each wake."""

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure

from harness.analysis.charts.paper import (
    capitalised,
    named,
    on_outcome_colour,
    outcome_colour,
    outcome_legend,
    stacked_panels,
)
from harness.analysis.labels import wake_name
from harness.analysis.load import Run
from harness.analysis.sentences import Failures, met_all, who_fails
from harness.model.outcomes import Outcome
from harness.model.summary import TrialSummary

ROW_IN = 0.19
LINE_IN = 0.125
"""Of a name, in inches."""
TOO_NARROW = 0.04
"""A part of a bar with a smaller share than this has no room for its number."""


def outcomes_chart(run: Run, woken: Sequence[TrialSummary]) -> Figure:
    """The outcomes of all trials with a wake, added up over the seeds."""
    by_wake_and_pool: dict[tuple[str, str], list[TrialSummary]] = {}
    for summary in woken:
        by_wake_and_pool.setdefault((wake_name(summary.trial), summary.trial.configuration), []).append(summary)
    wakes = list(dict.fromkeys(wake for wake, _ in by_wake_and_pool))
    pools = list(dict.fromkeys(summary.trial.configuration for summary in woken))
    names = [named(run, pool) for pool in pools]
    panel_in = 0.35 + len(names) * _row_in(names)
    figure, panels = stacked_panels(len(wakes), title=_title(run, woken), panel_in=panel_in)
    for panel, wake in zip(panels, wakes, strict=True):
        for row, pool in enumerate(pools):
            summaries = by_wake_and_pool.get((wake, pool), [])
            requests = sum(summary.requests for summary in summaries) or 1
            left = 0.0
            for outcome in Outcome:
                count = sum(summary.count(outcome) for summary in summaries)
                share = count / requests
                panel.barh(row, share, left=left, height=0.72, color=outcome_colour(outcome))
                if share > TOO_NARROW:
                    colour = on_outcome_colour(outcome)
                    panel.text(left + share / 2, row, str(count), ha="center", va="center", fontsize=6, color=colour)
                left += share
        panel.set_yticks(range(len(pools)), names)
        panel.set_ylim(len(pools) - 0.5, -0.5)
        panel.set_xlim(0, 1)
        panel.xaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        panel.grid(visible=False, axis="y")
        panel.set_title(wake)
    panels[-1].set_xlabel("share of the requests (numbers: requests)")
    outcome_legend(figure, (outcome for summary in woken for outcome in summary.outcomes))
    return figure


def _row_in(names: Sequence[str]) -> float:
    """The height of a bar's row in inches: two names above each other must not touch."""
    lines = [1 + name.count("\n") for name in names]
    most = max(((above + below) / 2 for above, below in pairwise(lines)), default=lines[0])
    return max(ROW_IN, LINE_IN * most)


def _title(run: Run, woken: Sequence[TrialSummary]) -> str:
    failures: dict[str, Failures] = {}
    for summary in woken:
        name = named(run, summary.trial.configuration, width=200)
        failures[name] = failures.get(name, Failures(0, 0)) + Failures(summary.failed, summary.requests)
    return capitalised(who_fails(met_all(failures), title=True))
