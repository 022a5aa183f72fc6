"""What became of the requests, a bar a pool configuration, a panel a wake latency."""

from collections.abc import Sequence

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

TOO_NARROW = 0.04
"""A share below which a bar's piece has no room for its number."""


def outcomes_chart(run: Run, woken: Sequence[TrialSummary]) -> Figure:
    """The outcomes of all trials with a wake; several seeds of one pool and wake are added up."""
    met: dict[tuple[str, str], list[TrialSummary]] = {}
    for one in woken:
        met.setdefault((wake_name(one.trial), one.trial.configuration), []).append(one)
    wakes = list(dict.fromkeys(wake for wake, _ in met))
    pools = list(dict.fromkeys(one.trial.configuration for one in woken))
    names = [named(run, pool) for pool in pools]
    lines = sum(1 + 0.6 * name.count("\n") for name in names)
    figure, panels = stacked_panels(len(wakes), title=_title(run, woken), panel_in=0.35 + 0.19 * lines)
    for panel, wake in zip(panels, wakes, strict=True):
        for row, pool in enumerate(pools):
            some = met.get((wake, pool), [])
            requests = sum(one.requests for one in some) or 1
            left = 0.0
            for outcome in Outcome:
                count = sum(one.count(outcome) for one in some)
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
    outcome_legend(figure, (outcome for one in woken for outcome in one.outcomes))
    return figure


def _title(run: Run, woken: Sequence[TrialSummary]) -> str:
    failures: dict[str, Failures] = {}
    for one in woken:
        name = named(run, one.trial.configuration, width=200)
        failures[name] = failures.get(name, Failures(0, 0)) + Failures(one.failed, one.requests)
    return capitalised(who_fails(met_all(failures), title=True))
