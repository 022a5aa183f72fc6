"""Exhaustion and timeout rates by capacity, with 95 % intervals; a line for each wake and kind of pool."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from harness.analysis.charts.paper import in_lines, line_legend, line_style, stacked_panels
from harness.analysis.compare import Line
from harness.analysis.labels import Names
from harness.analysis.sentences import MAX_IN_TITLE, listed, percent
from harness.analysis.statistics import Measure
from harness.model.outcomes import Outcome

DODGE = 0.012
"""Lines are shifted by this share of the width, so that no interval hides another."""


def worth_rates(lines: Sequence[Line]) -> bool:
    """Whether there are pools of at least two capacities."""
    return len({line.pool.capacity for line in lines if not line.is_control}) > 1


def rates_chart(lines: Sequence[Line], runs: Mapping[str, str]) -> Figure:
    """Two panels, exhaustion and all other timeouts; `runs` has each run's name, empty where there is only one.

    Pools of the same capacity have their marks at the same position; the line goes through their mean.
    """
    woken = [line for line in lines if not line.is_control]
    lines_by_kind = list(kinds(woken, runs))
    names, foot_in = in_lines(name for name, _ in lines_by_kind)
    figure, panels = stacked_panels(2, title=_title(woken), panel_in=1.3, share_y=False, foot_in=foot_in)
    capacities = sorted({line.pool.capacity for line in woken})
    shares = {"exhaustion (pool_timeout)": _exhaustion, "other timeouts: connect, statement, client": _timeouts}
    for panel, (title, share) in zip(panels, shares.items(), strict=True):
        for number, (_, of_kind) in enumerate(lines_by_kind):
            shift = DODGE * (capacities[-1] - capacities[0]) * (number - (len(lines_by_kind) - 1) / 2)
            _draw(panel, of_kind, share, shift=shift, number=number, name=names[number])
        panel.set_title(title)
        panel.set_ylim(bottom=0)
        panel.set_ylabel("share of requests")
        panel.yaxis.set_major_formatter(lambda value, _: f"{value:.1%}" if 0 < value < 0.1 else f"{value:.0%}")
        panel.set_xticks(capacities)
    panels[-1].set_xlabel("capacity: pool_size + max_overflow")
    line_legend(figure, panels)
    return figure


def kinds(lines: Sequence[Line], runs: Mapping[str, str]) -> Iterator[tuple[str, list[Line]]]:
    """The lines grouped by run, wake and kind of pool, with a name for each group: they differ in pool size only."""
    names = Names.of(lines)

    def key(line: Line) -> tuple[str, str, str]:
        return runs[line.run], line.wake, names.kind(line.configuration)

    order = {found: number for number, found in enumerate(dict.fromkeys(key(line) for line in lines))}
    for (run, wake, kind), group in groupby(sorted(lines, key=lambda line: order[key(line)]), key=key):
        yield ": ".join(filter(None, [run, ", ".join(filter(None, [wake, kind]))])), list(group)


def _draw(
    panel: Axes, lines: Sequence[Line], share: Callable[[Line], Measure], *, shift: float, number: int, name: str
) -> None:
    colour, dashes = line_style(number)
    measured = [(line.pool.capacity, share(line)) for line in lines]
    below = [measure.value - (measure.value if measure.low is None else measure.low) for _, measure in measured]
    above = [(measure.value if measure.high is None else measure.high) - measure.value for _, measure in measured]
    panel.errorbar(
        [capacity + shift for capacity, _ in measured], [measure.value for _, measure in measured],
        yerr=np.maximum([below, above], 0.0), linestyle="", marker="o", markersize=2.2, linewidth=0.7, capsize=1.5,
        color=colour, clip_on=False,
    )  # fmt: skip
    capacities = sorted({capacity for capacity, _ in measured})
    together = [
        float(np.mean([measure.value for capacity, measure in measured if capacity == at])) for at in capacities
    ]
    panel.plot([at + shift for at in capacities], together, color=colour, linestyle=dashes, label=name)


def _exhaustion(line: Line) -> Measure:
    return line.rates[Outcome.POOL_TIMEOUT]


def _timeouts(line: Line) -> Measure:
    return line.timeouts


def _title(woken: Sequence[Line]) -> str:
    names = Names.of(woken)
    clauses = []
    for share, what in ((_exhaustion, "of the requests find the pool exhausted"), (_timeouts, "time out otherwise")):
        worst = max(share(line).value for line in woken)
        whose = list(dict.fromkeys(names[line.configuration] for line in woken if share(line).value == worst))
        if worst > 0:
            clauses.append(f"{percent(worst)} {what} ({listed(whose, most=MAX_IN_TITLE)})")
    return f"At worst {', and '.join(clauses)}" if clauses else "No pool is exhausted and nothing times out"
