"""Latency distributions (ECDF): the share of all requests answered within a time, a panel a wake."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from harness.analysis.charts.paper import MANY, all_series, in_lines, line_legend, stacked_panels
from harness.analysis.columns import numbers
from harness.analysis.labels import wake_name
from harness.analysis.load import Run
from harness.model.outcomes import Outcome
from harness.model.trial import Trial

LEAST_S = 0.001
"""A panel is at least this wide: in virtual time answers may take no time at all."""


def latency_chart(runs: Sequence[Run]) -> Figure:
    """Successful answers by their latency since the arrival; a line that ends below 100 % lost the rest."""
    wakes = list(dict.fromkeys((wake_name(trial), trial.is_control) for run in runs for trial in run.trials))
    every = all_series(runs)
    names, foot_in = in_lines(one.name for one in every)
    figure, panels = stacked_panels(len(wakes), title=_title(runs), panel_in=1.35, share_x=False, foot_in=foot_in)
    trials: dict[tuple[Path, str, str], list[Trial]] = {}
    for run in runs:
        for trial in run.trials:
            trials.setdefault((run.folder, wake_name(trial), trial.configuration), []).append(trial)
    for panel, (wake, control) in zip(panels, wakes, strict=True):
        end = _end(runs, wake)
        for one, name in zip(every, names, strict=True):
            met = trials.get((one.run.folder, wake, one.configuration))
            if met is None:
                continue
            rows = pa.concat_tables([one.run.rows(trial, "requests") for trial in met])
            asked = rows.num_rows
            answered = np.sort(numbers(rows.filter(pc.equal(rows["outcome"], Outcome.OK.value)), "latency_s"))
            share = np.arange(1, len(answered) + 1) / max(1, asked)
            # So many steps that no eye sees between them.
            kept = np.unique(np.linspace(0, len(answered) - 1, min(len(answered), MANY)).astype(int))
            panel.step(
                np.append(answered[kept] * (1000 if control else 1), end),
                np.append(share[kept], share[-1:] if len(share) else 0.0),
                where="post", label=name, color=one.colour, linestyle=one.dashes,
            )  # fmt: skip
        panel.set_xlim(0, end)
        panel.set_ylim(0, 1.03)
        panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        panel.set_ylabel("answered")
        panel.set_xlabel(f"latency since the arrival [{'ms' if control else 's'}]")
        panel.set_title("control: the compute is awake" if control else wake)
    line_legend(figure, panels)
    return figure


def _end(runs: Sequence[Run], wake: str) -> float:
    """Where a panel ends, in its own unit: a little after the slowest request; the control's is in ms."""
    met = [one for run in runs for one in run.summaries if wake_name(one.trial) == wake and one.latency_s]
    in_ms = any(one.trial.is_control for one in met)
    return max([LEAST_S, *(one.latency_s["max"] for one in met)]) * 1.05 * (1000 if in_ms else 1)


def _title(runs: Sequence[Run]) -> str:
    summaries = [one for run in runs for one in run.summaries if one.latency_s]
    woken = [one for one in summaries if not one.trial.is_control]
    control = [one.latency_s["p95"] for one in summaries if one.trial.is_control]
    worst = max((one.latency_s["p95"] for one in woken), default=0.0)
    sleeps = any(one.trial.wake is not None and one.trial.wake.can_sleep for one in woken)
    said = f"{'Waking, ' if sleeps else ''}95% of the requests end within {worst:.1f} s at worst"
    if not control:
        return said
    return f"{said}; awake, within {f'{max(control) * 1000:.0f}' if max(control) >= LEAST_S else 'less than 1'} ms"
