"""Two configurations in one picture: every request by its arrival and its latency, and below what differs."""

import textwrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties

from harness.analysis.beside import Beside
from harness.analysis.charts.paper import (
    PANEL_WIDTH,
    capitalised,
    many,
    mark,
    mark_wake,
    named,
    outcome_colour,
    outcome_legend,
    stacked_panels,
)
from harness.analysis.sentences import Failures, answered_within, who_succeeds
from harness.model.outcomes import Outcome
from harness.model.summary import TrialSummary

FOOT_WIDTH = 60
FOOT_SIZE = 6.5
FOOT_LINE_IN = 0.11
TIMEOUTS = ("pool_timeout", "connection_timeout", "statement_timeout")


def beside_chart(two: Beside) -> Figure:
    """The first seed of both, one above the other on the same axes. A dashed line is a timeout that differs."""
    first = [two.before[0], two.after[0]]
    sentences = (f"Differs: {two.differs()}", f"Changed: {two.changed()}")
    foot = [line for words in sentences for line in textwrap.wrap(words, FOOT_WIDTH)]
    figure, panels = stacked_panels(2, title=_title(two, first), panel_in=1.35, foot_in=FOOT_LINE_IN * len(foot))
    for panel, summary, limits in zip(panels, first, _limits(two), strict=True):
        rows = two.run.of(summary.trial, "requests")
        mark_wake(panel, two.run, summary.trial, label="top" if panel is panels[0] else None)
        # Failures are drawn last, so that a hundred successful requests do not hide one that failed.
        for outcome in Outcome:
            drawn = rows[rows["outcome"] == outcome.value]
            panel.plot(
                drawn["arrival_s"].to_numpy(dtype=float), drawn["latency_s"].to_numpy(dtype=float), linestyle="",
                marker="o", markersize=2.2, markeredgewidth=0, color=outcome_colour(outcome),
                rasterized=len(rows) > many(),
            )  # fmt: skip
        for limit_s, words in limits.items():
            panel.axhline(limit_s, color=mark(), linewidth=0.6, linestyle="--")
            panel.annotate(
                words, (1.0, limit_s), xycoords=("axes fraction", "data"), xytext=(0, 1.5),
                textcoords="offset points", ha="right", va="bottom", fontsize=6, color=mark(),
            )  # fmt: skip
        name = named(two.run, summary.trial.configuration, width=200)
        panel.set_title(textwrap.fill(f"{name}: {summary.failed} of {summary.requests} fail", PANEL_WIDTH))
        panel.set_ylabel("latency [s]")
    highest = max(float(np.max(summary.latencies_s)) for summary in first if summary.requests)
    panels[0].set_ylim(0, 1.15 * max([highest, 0.001, *(limit for limits in _limits(two) for limit in limits)]))
    panels[-1].set_xlabel("arrival since the burst began [s]")
    outcome_legend(figure, (outcome for summary in first for outcome in summary.outcomes))
    # As the legend's title: there the layout leaves room for it.
    figure.legends[0].set_title("\n".join(foot), prop=FontProperties(size=FOOT_SIZE))
    figure.legends[0].set_alignment("left")
    return figure


def _limits(two: Beside) -> list[dict[float, str]]:
    """The timeouts of each of the two that differ between them, by their time, with their names."""
    settings = [group[0].trial.pool.to_json() for group in (two.before, two.after)]
    found: list[dict[float, str]] = []
    for own in settings:
        limits: dict[float, list[str]] = {}
        for name in TIMEOUTS:
            if settings[0][name] != settings[1][name] and own[name]:
                limits.setdefault(own[name], []).append(name)
        found.append({limit_s: f"{' and '.join(names)} {limit_s:g} s" for limit_s, names in limits.items()})
    return found


def _title(two: Beside, first: list[TrialSummary]) -> str:
    failures = {
        named(two.run, summary.trial.configuration, width=200): Failures(summary.unanswered, summary.requests)
        for summary in first
    }
    answered = answered_within(summary.patience_s for summary in first)
    return f"{capitalised(first[0].trial.wake_words)}: {who_succeeds(failures, answered=answered)}"
