"""Latency distributions: the share of all requests answered within a time, a line a pool, a panel a wake."""

import numpy as np
from matplotlib.figure import Figure

from harness.analysis.charts.paper import MARK_COLOUR, POOL_COLOURS, POOL_LINES, named, stacked_panels
from harness.analysis.load import Run
from harness.outcomes import Outcome

LINE_IN = 0.13
LEAST_S = 0.001
"""A panel is at least this wide: in virtual time answers may take no time at all."""


def latency_chart(run: Run) -> Figure:
    """Successful answers by their latency since the arrival; a line that ends below 100 % lost the rest."""
    wakes = list(dict.fromkeys((trial.wake_label, trial.is_control) for trial in run.trials))
    pools = list(dict.fromkeys(trial.configuration for trial in run.trials))
    names = [named(run, pool, width=30) for pool in pools]
    # The legend has two columns; two of its lines are in the figure's height already.
    lines = max(0, sum(1 + name.count("\n") for name in names) / 2 - 2)
    figure, panels = stacked_panels(
        len(wakes), title=_title(run), panel_in=1.35, share_x=False, foot_in=LINE_IN * lines
    )
    for panel, (wake, control) in zip(panels, wakes, strict=True):
        for number, pool in enumerate(pools):
            trials = {t.number for t in run.trials if t.wake_label == wake and t.configuration == pool}
            rows = run.requests[run.requests["trial"].isin(trials)]
            answered = np.sort(rows.loc[rows["outcome"] == Outcome.OK.value, "latency_s"].to_numpy(dtype=float))
            share = np.arange(1, len(answered) + 1) / max(1, len(rows))
            panel.step(
                np.append(answered * (1000 if control else 1), _end(run, wake)),
                np.append(share, share[-1:] if len(share) else 0.0),
                where="post", label=names[number],
                color=POOL_COLOURS[number % len(POOL_COLOURS)], linestyle=POOL_LINES[number % len(POOL_LINES)],
            )  # fmt: skip
        panel.set_xlim(0, _end(run, wake))
        panel.set_ylim(0, 1.03)
        panel.yaxis.set_major_formatter(lambda share, _: f"{share:.0%}")
        panel.set_ylabel("answered")
        panel.set_xlabel(f"latency since the arrival [{'ms' if control else 's'}]")
        panel.set_title("control: the compute is awake" if control else wake)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=2, labelcolor=MARK_COLOUR, handlelength=2.5)
    return figure


def _end(run: Run, wake: str) -> float:
    """Where a panel ends, in its own unit: a little after the slowest request; the control's is in ms."""
    met = [one for one in run.summaries if one.trial.wake_label == wake and one.latency_s]
    in_ms = any(one.trial.is_control for one in met)
    return max([LEAST_S, *(one.latency_s["max"] for one in met)]) * 1.05 * (1000 if in_ms else 1)


def _title(run: Run) -> str:
    woken = [one for one in run.summaries if not one.trial.is_control and one.latency_s]
    control = [one.latency_s["p95"] for one in run.summaries if one.trial.is_control and one.latency_s]
    worst = max(one.latency_s["p95"] for one in woken)
    sleeps = any(one.trial.wake is not None and one.trial.wake.can_sleep for one in woken)
    said = f"{'Waking, ' if sleeps else ''}95 % of the requests end within {worst:.1f} s at worst"
    return f"{said}; awake, within {max(control) * 1000:.0f} ms" if control else said
