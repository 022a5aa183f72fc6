"""Connections held over time, which is the cost of a pool: a line for each configuration, a panel for each wake."""

from collections.abc import Sequence
from statistics import mean

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from harness.analysis.charts.coinciding import Curve, in_this_panel, legend
from harness.analysis.charts.coinciding import together as coinciding
from harness.analysis.charts.instances import together
from harness.analysis.charts.paper import (
    all_series,
    in_lines,
    many,
    mark_wake,
    panel_title,
    run_names,
    series_legend,
    stacked_panels,
)
from harness.analysis.compare import Line
from harness.analysis.labels import Names
from harness.analysis.load import Run
from harness.analysis.sentences import MAX_IN_TITLE, listed, ranking


def held_chart(runs: Sequence[Run], lines: Sequence[Line]) -> Figure:
    """The connections of all instances together, for the first seed. `lines` are those of the runs' comparison."""
    all_lines = all_series(runs)
    first = {run.folder: min(trial.seed for trial in run.trials) for run in runs}
    met = [
        (run, trial) for run in runs for trial in run.trials if not trial.is_control and trial.seed == first[run.folder]
    ]
    seen = {run.folder: {summary.trial.number for summary in run.summaries if summary.saw_the_pool} for run in runs}
    wakes = list(dict.fromkeys(trial.wake_label for _, trial in met))
    curves: list[dict[int, Curve]] = []
    for wake in wakes:
        curves.append({})
        for number, series in enumerate(all_lines):
            for run, trial in met:
                mine = run is series.run and trial.configuration == series.configuration and trial.wake_label == wake
                if mine and trial.number in seen[run.folder]:
                    held = together(run.of(trial, "pool"), ["size"])["size"]
                    curves[-1][number] = held.index.to_numpy(dtype=float), held.to_numpy(dtype=float)
    groups = [coinciding(drawn) for drawn in curves]
    labels = legend(all_lines, groups)
    names, foot_in = in_lines(labels.values())
    figure, panels = stacked_panels(len(wakes), title=_title(runs, lines), panel_in=1.1, foot_in=foot_in)
    for panel, wake, drawn, of_panel in zip(panels, wakes, curves, groups, strict=True):
        here = next((run, trial) for run, trial in met if trial.wake_label == wake)
        mark_wake(panel, *here, label="bottom" if panel is panels[0] else None)
        for group in of_panel:
            series, (x, y) = all_lines[group.members[0]], drawn[group.members[0]]
            panel.step(
                x, y, where="post", color=series.colour, linestyle=series.dashes, rasterized=len(x) > many()
            )  # fmt: skip
        panel.set_title(panel_title(wake, in_this_panel(all_lines, of_panel, groups)))
        panel.set_ylabel("connections")
        panel.yaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    panels[0].set_ylim(bottom=0)
    panels[-1].set_xlabel("time since the burst began [s]")
    series_legend(figure, [all_lines[number] for number in labels], names)
    return figure


def _title(runs: Sequence[Run], lines: Sequence[Line]) -> str:
    names, names_of_runs = Names.of(lines), run_names(runs)
    held: dict[str, list[float]] = {}
    for line in lines:
        if not line.is_control and line.held_s is not None:
            name = ": ".join(filter(None, [names_of_runs[line.run], names[line.configuration]]))
            held.setdefault(name, []).append(line.held_s)
    found = ranking({name: round(mean(values)) for name, values in held.items()})
    if found.most == 0:
        return "No connection is held"
    if len(held) == 1:
        return f"{found.highest[0]} holds {found.most:.0f} connection-seconds a trial"
    if found.most < 1.05 * found.least:
        return f"All cost about the same: {found.most:.0f} connection-seconds a trial"
    most, least = (listed(names_of_pools, most=MAX_IN_TITLE) for names_of_pools in (found.highest, found.lowest))
    return (
        f"Most is held with {most}: {found.most:.0f} connection-seconds a trial; least with {least}: {found.least:.0f}"
    )
