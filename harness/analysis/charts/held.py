"""Connections held over time: what each pool costs while it is warm, a line a configuration, a panel a wake."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.analysis.charts.instances import together
from harness.analysis.charts.paper import (
    MANY,
    all_series,
    in_lines,
    line_legend,
    mark_wake,
    run_names,
    stacked_panels,
)
from harness.analysis.compare import Line
from harness.analysis.labels import Names
from harness.analysis.load import Run
from harness.analysis.sentences import MOST_IN_TITLE, listed, ranking


def held_chart(runs: Sequence[Run], lines: Sequence[Line]) -> Figure:
    """Of the first seed: what every instance's pool holds, together. `lines` are the runs' comparison."""
    every = all_series(runs)
    first = {run.folder: min(trial.seed for trial in run.trials) for run in runs}
    met = [
        (run, trial) for run in runs for trial in run.trials if not trial.is_control and trial.seed == first[run.folder]
    ]
    wakes = list(dict.fromkeys(trial.wake_label for _, trial in met))
    names, foot_in = in_lines(one.name for one in every)
    figure, panels = stacked_panels(len(wakes), title=_title(runs, lines), panel_in=1.1, foot_in=foot_in)
    for panel, wake in zip(panels, wakes, strict=True):
        here = [(run, trial) for run, trial in met if trial.wake_label == wake]
        mark_wake(panel, *here[0], label="bottom" if panel is panels[0] else None)
        for one, name in zip(every, names, strict=True):
            for run, trial in here:
                if run is one.run and trial.configuration == one.configuration:
                    held = together(run.of(trial, "pool"), ["size"])["size"]
                    panel.step(
                        held.index.to_numpy(dtype=float), held.to_numpy(dtype=float), where="post", label=name,
                        color=one.colour, linestyle=one.dashes, rasterized=len(held) > MANY,
                    )  # fmt: skip
        panel.set_title(wake)
        panel.set_ylabel("connections")
        panel.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panels[0].set_ylim(bottom=0)
    panels[-1].set_xlabel("time since the burst began [s]")
    line_legend(figure, panels)
    return figure


def _title(runs: Sequence[Run], lines: Sequence[Line]) -> str:
    names, said = Names(line.configuration for line in lines), run_names(runs)
    held: dict[str, list[float]] = {}
    for line in lines:
        if not line.is_control:
            name = ": ".join(filter(None, [said[line.run], names[line.configuration]]))
            held.setdefault(name, []).append(line.held_s)
    found = ranking({name: round(mean(values)) for name, values in held.items()})
    if found.most == 0:
        return "No connection is held"
    if len(held) == 1:
        return f"{found.highest[0]} holds {found.most:.0f} connection-seconds a trial"
    if found.most < 1.05 * found.least:
        return f"All cost about the same: {found.most:.0f} connection-seconds a trial"
    most, least = (listed(some, most=MOST_IN_TITLE) for some in (found.highest, found.lowest))
    return (
        f"Most is held with {most}: {found.most:.0f} connection-seconds a trial; least with {least}: {found.least:.0f}"
    )
