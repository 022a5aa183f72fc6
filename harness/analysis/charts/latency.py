"""Latency distributions (ECDF): the share of all requests answered within a time, a panel for each wake."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure

from harness.analysis.charts.coinciding import Curve, in_this_panel, legend, together
from harness.analysis.charts.paper import all_series, in_lines, many, panel_title, series_legend, stacked_panels
from harness.analysis.columns import chosen, is_word, numbers
from harness.analysis.labels import wake_name
from harness.analysis.load import Run
from harness.model.outcomes import Outcome
from harness.model.trial import Trial

MIN_WIDTH_S = 0.001
"""A panel is at least this wide: in virtual time answers may take no time at all."""


def latency_chart(runs: Sequence[Run]) -> Figure:
    """Successful answers by their latency since the arrival; a line ends below 100 % where requests failed."""
    wakes = list(dict.fromkeys((wake_name(trial), trial.is_control) for run in runs for trial in run.trials))
    all_lines = all_series(runs)
    trials: dict[tuple[Path, str, str], list[Trial]] = {}
    for run in runs:
        for trial in run.trials:
            trials.setdefault((run.folder, wake_name(trial), trial.configuration), []).append(trial)
    curves: list[dict[int, Curve]] = []
    for wake, control in wakes:
        curves.append({})
        for number, series in enumerate(all_lines):
            met_trials = trials.get((series.run.folder, wake, series.configuration))
            if met_trials is not None:
                rows = pa.concat_tables([series.run.rows(trial, "requests") for trial in met_trials])
                curves[-1][number] = _curve(rows, end=_end(runs, wake), unit=1000 if control else 1)
    groups = [together(drawn) for drawn in curves]
    labels = legend(all_lines, groups)
    names, foot_in = in_lines(labels.values())
    figure, panels = stacked_panels(len(wakes), title=_title(runs), panel_in=1.35, share_x=False, foot_in=foot_in)
    for panel, (wake, control), drawn, of_panel in zip(panels, wakes, curves, groups, strict=True):
        for group in of_panel:
            series, (x, y) = all_lines[group.members[0]], drawn[group.members[0]]
            panel.step(x, y, where="post", color=series.colour, linestyle=series.dashes, label=series.name)
        panel.set_xlim(0, _end(runs, wake))
        panel.set_ylim(0, 1.03)
        panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        panel.set_ylabel("answered")
        panel.set_xlabel(f"latency since the arrival [{'ms' if control else 's'}]")
        heading = "control: the compute is awake" if control else wake
        panel.set_title(panel_title(heading, in_this_panel(all_lines, of_panel, groups)))
    series_legend(figure, [all_lines[number] for number in labels], names)
    return figure


def _curve(rows: pa.Table, *, end: float, unit: int) -> Curve:
    """The share of the requests that is answered within each latency, up to the end of the panel."""
    answered = np.sort(numbers(chosen(rows, is_word(rows["outcome"], Outcome.OK)), "latency_s"))
    share = np.arange(1, len(answered) + 1) / max(1, rows.num_rows)
    # More steps than these could not be seen.
    steps = np.unique(np.linspace(0, len(answered) - 1, min(len(answered), many() // 3)).astype(int))
    return np.append(answered[steps] * unit, end), np.append(share[steps], share[-1:] if len(share) else 0.0)


def _end(runs: Sequence[Run], wake: str) -> float:
    """Where a panel's axis ends, a little after the slowest request: in seconds, for a control in ms."""
    summaries = [
        summary for run in runs for summary in run.summaries if wake_name(summary.trial) == wake and summary.latency_s
    ]
    in_ms = any(summary.trial.is_control for summary in summaries)
    return max([MIN_WIDTH_S, *(summary.latency_s["max"] for summary in summaries)]) * 1.05 * (1000 if in_ms else 1)


def _title(runs: Sequence[Run]) -> str:
    summaries = [summary for run in runs for summary in run.summaries if summary.latency_s]
    woken = [summary for summary in summaries if not summary.trial.is_control]
    control = [summary.latency_s["p95"] for summary in summaries if summary.trial.is_control]
    worst = max((summary.latency_s["p95"] for summary in woken), default=0.0)
    sleeps = any(summary.trial.wake is not None and summary.trial.wake.can_sleep for summary in woken)
    clause = f"{'Waking, ' if sleeps else ''}95% of the requests end within {worst:.1f} s at worst"
    if not control:
        return clause
    return (
        f"{clause}; awake, within {f'{max(control) * 1000:.0f}' if max(control) >= MIN_WIDTH_S else 'less than 1'} ms"
    )
